"""Getting to know the supply: first who it is, then whether the bench's words fit it.

The first questions are harmless on every model (`spellman_identity.py`), and until their answers
fit nothing else leaves. Those that follow are the model's own. A supply that fails either is named,
and gets no ON; the questions begin anew with each connection.
"""

from __future__ import annotations

from hal.generators.spellman_identity import mismatch
from hal.generators.spellman_opcodes import Model, Reply, Scale
from hal.generators.spellman_tables import XRV

_WHO = {"XRV": ("status", "faults"), "uX": ("status",), "uXMAN": ("status",)}
_THEN_XRV = ("identity", "scaling", "configuration", "monitor")
_THEN_UX = ("identity", "model", "faults", "monitor")
_NAMES = ("identity", "model")  # a uX may leave them unanswered: [I]
TRIES = 3


class Hello:
    """One acquaintance. `next` is what to ask, `problem` why no beam may come of it."""

    def __init__(self, model: Model, scale: Scale) -> None:
        self._model, self._scale = model, scale
        self._who = list(_WHO[model.name])
        self._then = list(_THEN_XRV if model is XRV else _THEN_UX)
        self._names: list[str] = []
        self._unheard_count = 0
        self.problem = ""

    @property
    def known(self) -> bool:
        """It is the model that the bench names: its own opcodes may leave."""
        return not self._who

    @property
    def next(self) -> str | None:
        return next(iter((*self._who, *self._then)), None)

    @property
    def identity(self) -> str | None:
        """Model, part number and version, as the unit itself has them."""
        return None if self.next else " ".join((f"Spellman {self._model.name}", *self._names))

    def took(self, name: str, reply: Reply) -> None:
        """An answer of the right form; to something else than `next` it says nothing."""
        if name != self.next:
            return
        if self._who:
            self._who = self._who[1:] if reply.accepted else self._who
            self.problem = ""  # the right one, perhaps in the place of a wrong one
            return
        self._then.pop(0)
        if reply.accepted:
            self._judge(name, reply)
        elif name not in _NAMES:
            self.problem = f"it refused {name}: {reply.error}"

    def _judge(self, name: str, reply: Reply) -> None:
        if name in _NAMES:
            self._names.extend(reply.texts)
        elif name == "scaling" and reply.values[:2] != (self._scale.kv, self._scale.ma):
            kv, ma = reply.values[:2]
            self.problem = (
                f"its full scale is {kv:g} kV and {ma:g} mA (28), "
                f"the bench says {self._scale.kv:g} kV and {self._scale.ma:g} mA"
            )
        elif name == "configuration" and reply.values[4] != 0:
            self.problem = f"its pre-warning is {reply.values[4]:g} (27), and must be 0"

    def lost(self, name: str) -> None:
        """No answer. A name that stays away is done without, on a uX."""
        if name != self.next or self._who or self._model is XRV or name not in _NAMES:
            return
        self._unheard_count += 1
        if self._unheard_count == TRIES:
            self._then.pop(0)
            self._unheard_count = 0

    def overheard(self, text: str) -> None:
        """Before it is known: a frame that is no answer of our model may be one of another's."""
        number, *values = text.rstrip(",").split(",")
        asked = self._model.by_name[self._who[0]].number
        if number == f"{asked:02d}":
            self.problem = mismatch(self._model, asked, len(values))
