"""The system messages that an R2CP generator shows as active.

They come as events whenever they change, and all of them when asked for (protocol reference 4.5).
Where "all" ends is not said: chosen, with the answer to whatever is asked next, since TCP keeps the
order. A message stays until its node says that it is over; clearing one only asks for that.
Unverified against a device.
"""

from __future__ import annotations

from hal.generators.r2cp_layouts import Message
from hal.generators.r2cp_ratings import clear
from hal.generators.r2cp_results import is_our_own
from hal.generators.r2cp_wire import Question


class Messages:
    def __init__(self) -> None:
        self._active: dict[tuple[int, int], Message] = {}
        self._told: set[tuple[int, int]] | None = None  # since all were asked for
        self._all_told = False
        self._clears: list[Question] = []
        self.due = True  # all must be asked for
        self._nibbles_index: int | None = None

    @property
    def inhibiting(self) -> list[Message]:
        """Those of others that keep the beam off."""
        return [m for m in self._active.values() if m.inhibits_beam]

    @property
    def others(self) -> list[Message]:
        """Those that are only told."""
        return [m for m in self._active.values() if not m.inhibits_beam]

    def event(self, message: Message) -> None:
        if is_our_own(message):
            return
        key = message.node_id, message.message_id
        if self._told is not None:
            self._told.add(key)
        if message.active:
            self._active[key] = message
        else:
            self._active.pop(key, None)

    def asked(self) -> None:
        """All of them are being asked for."""
        self._told, self._all_told = set(), False

    def answered(self) -> None:
        self._all_told, self.due = True, False

    def status(self, messages_index: int) -> None:
        """Byte 1 of a status: it ends "all", and when it changes there is something to ask."""
        if self._all_told and self._told is not None:
            self._active = {k: m for k, m in self._active.items() if k in self._told}
            self._told = None
        if messages_index != self._nibbles_index:
            self.due = self.due or self._nibbles_index is not None
            self._nibbles_index = messages_index

    def order_clear(self) -> None:
        self._clears = [clear(message) for message in self._active.values()]

    def next_clear(self) -> Question | None:
        """One after the other; afterwards all are asked for again."""
        return self._clears[0] if self._clears else None

    def cleared(self) -> None:
        self._clears.pop(0)
        self.due = True
