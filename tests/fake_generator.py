"""The smallest thing that can stand behind a generator's desk: no physics, exact times."""

from __future__ import annotations

import math

from hal.now import Now
from hal.ports import AecChoice, GeneratorReading


class FakeModel:
    """A GeneratorModel (hal.ports) whose interlock, refusals and faults a test sets by hand."""

    model_number = "IXS120BP120P366"
    serial_number = "S17085-A00001"
    rotor = None

    def __init__(self) -> None:
        self.kv = self.ma = 0.0
        self.time_us: int | None = None
        self.charge_mas: float | None = None
        self.aec: AecChoice | None = None
        self.aec_has_not = ""
        self.bits: set[str] = set()
        self.tripped_bits: set[str] = set()
        self.charge_pct: float | None = None
        self.refuses = False
        self.small_focus: bool | None = None
        self.ramp = 150_000
        self.ignores_off = False
        self.starts_us: list[int] = []
        self.ends_us: list[int] = []
        self.fed_us: list[int] = []
        self.clears_us: list[int] = []
        self.watchdog_us = 5_000_000
        self._watchdog_on = True
        self._prewarning_us = 0

    def set_kv(self, t_us: int, kv: float) -> None:
        self.kv = kv

    def set_ma(self, t_us: int, ma: float) -> None:
        self.ma = ma

    def set_time_us(self, t_us: int, time_us: int | None) -> None:
        self.time_us = time_us

    def set_charge_mas(self, t_us: int, mas: float | None) -> None:
        self.charge_mas = mas

    def aec_refused(self, choice: AecChoice) -> str:
        return self.aec_has_not

    def set_aec(self, t_us: int, choice: AecChoice | None) -> None:
        self.aec = choice

    def set_focus(self, t_us: int, *, small: bool) -> None:
        self.small_focus = small

    def set_prewarning_us(self, t_us: int, prewarning_us: int) -> None:
        self._prewarning_us = prewarning_us

    def prewarning_us(self) -> int:
        return self._prewarning_us

    def in_prewarning(self, t_us: int) -> bool:
        return False

    def ready(self, now: Now) -> bool:
        return True

    def most_mas(self, kv: float) -> float:
        return math.inf

    def start(self, t_us: int) -> bool:
        if self.refuses:
            return False
        if not self.beam_on(t_us):
            self.starts_us.append(t_us)
        return True

    def stop(self, t_us: int) -> None:
        if self.beam_on(t_us) and not self.ignores_off:
            self.ends_us.append(t_us)

    def end_alone(self, t_us: int, bit: str) -> None:
        self.ends_us.append(t_us)
        self.bits.add(bit)

    def beam_on(self, t_us: int) -> bool:
        self._end_by_timer(t_us)
        return len(self.starts_us) > len(self.ends_us)

    def _end_by_timer(self, t_us: int) -> None:
        """By its time, or where that is shorter by its charge: HV is there at once."""
        limits_us = [] if self.time_us is None else [self.time_us]
        if self.charge_mas is not None and self.ma:
            limits_us.append(round(1e6 * self.charge_mas / self.ma))
        is_on = len(self.starts_us) > len(self.ends_us)
        if is_on and limits_us and t_us - self.starts_us[-1] - min(limits_us) >= 0:
            self.ends_us.append(self.starts_us[-1] + min(limits_us))

    def ramp_us(self) -> int:
        return self.ramp

    def reading(self, t_us: int) -> GeneratorReading:
        is_on = self.beam_on(t_us)
        return GeneratorReading(
            kv=self.kv * is_on, ma=self.ma * is_on, oil_c=25.4, filament_a=1.85, battery_v=24.62
        )

    def account(self, t_us: int) -> tuple[float, float]:
        return self.kv, self.ma * (self.ends_us[-1] - self.starts_us[-1]) / 1e6

    def fault_bits(self, t_us: int) -> frozenset[str]:
        return frozenset(self.bits)

    def tripped(self, t_us: int) -> frozenset[str]:
        return frozenset(self.tripped_bits)

    def clear_faults(self, t_us: int) -> None:
        self.clears_us.append(t_us)
        self.bits.clear()
        self.tripped_bits.clear()

    def command_seen(self, t_us: int) -> None:
        self.fed_us.append(t_us)

    def set_watchdog(self, t_us: int, *, on: bool, limit_us: int | None = None) -> None:
        self._watchdog_on = on
        self.watchdog_us = limit_us if limit_us is not None else self.watchdog_us

    def watchdog_on(self) -> bool:
        return self._watchdog_on

    def battery_pct(self, t_us: int) -> float | None:
        return self.charge_pct

    def on_time_s(self) -> float:
        beams = zip(self.starts_us, self.ends_us, strict=False)
        return 3725.0 + sum(end_us - start_us for start_us, end_us in beams) / 1e6
