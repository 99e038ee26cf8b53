"""What a supply says is wrong: its status, its fault list, and what it tells only once.

A uX tells once, unasked, that its interlock opened or a fault came, and shows the flag no more
(3.6). So that is kept until faults are cleared; of an XRV, a fault that its list does not explain.
"""

from __future__ import annotations

from dataclasses import replace

from hal.generators.spellman_faults import Status, faults_of
from hal.generators.spellman_opcodes import Model, Reply
from hal.generators.spellman_tables import XRV


class Trouble:
    """`status` is the newest one, `list_due`: its fault list has to be read (again)."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.status = Status(hv_on=False, interlock_closed=False, fault=False)
        self.list_due = True
        self._listed: dict[str, str] = {}  # ... text: code of hal.faults
        self._kept: dict[str, str] = {}  # code: the vendor's words

    def took_status(self, status: Status) -> None:
        if status.fault and not self.status.fault:
            self.told(status)
        self.status = status

    def told(self, status: Status) -> None:
        """A status that is shown once, asked or not."""
        self.list_due = True
        if status.fault and self._model is not XRV:
            code = "GENERATOR_FAULT" if status.interlock_closed else "INTERLOCK_OPEN"
            pair = "closed" if status.interlock_closed else "open"
            self._kept[code] = f"22: fault, interlock {pair}"

    def took_list(self, reply: Reply) -> None:
        found = faults_of(self._model, reply)
        self.list_due = False
        if not found and self.status.fault and self._model is XRV:
            self._kept.setdefault("GENERATOR_UNKNOWN", "status: fault, and no flag of 68 is set")
        self._listed = {fault.text: fault.code for fault in found}

    def cleared(self) -> None:
        self._kept.clear()
        self.status = replace(self.status, fault=False)  # what the next status says counts
        self.list_due = True

    @property
    def codes(self) -> tuple[str, ...]:
        return *self._listed.values(), *self._kept

    @property
    def words(self) -> tuple[str, ...]:
        local = "it is in local mode" if self.status.local else ""
        return ", ".join(self._listed), local, *self._kept.values()
