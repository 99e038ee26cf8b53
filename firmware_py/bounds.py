"""The bounds of one bench: what its devices can do cuts the design's goals to size.

Drivers state capabilities; here they become the controller's limits and the table that
`dxrig doctor --bounds` prints: the goal of a requirement beside this bench's bound, and
the layer that meets it. Example: an IXS line at 9600 baud can't give a status younger
than 100 ms, and its watchdog is 2 s at best; the relay pulse is the layer that is quick.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_py.config import BatteryConfig, PanelBatteryConfig, TubeConfig, UnitConfig
from firmware_py.decide.memory import Limits
from hal.ports import GeneratorCapabilities, PanelCapabilities, RoomCapabilities
from hal.types import AecData, ChargeData, DapData, GeometryData, TubeData

SAFETY_RELAY_DROP_US = 8_000  # sim/wiring.py
GEOMETRY_AGE_US = 250_000  # as a panel's: one lost answer and its silence, and the next, still fit
UNIT_DEAD = "unit dead or stopped -> kV off"
RELAY_DROP_US = 20_000  # enable relay contact + interlock input, sim/wiring.py and data sheets


# Nothing ends such a beam before the generator's own timer: the dose is bounded by the programme.
PROGRAMME_ALONE_US = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    sr: str
    what: str
    goal_us: int
    bound_us: int
    layer: str  # wire | relay pulse | module watchdog | device timer | watchdog | chain
    note: str = ""

    @property
    def meets_goal(self) -> bool:
        return self.bound_us <= self.goal_us  # us-compare: two durations of one table


def limits(
    config: UnitConfig,
    generator: GeneratorCapabilities,
    room: RoomCapabilities,
    panel: PanelCapabilities,
) -> Limits:
    own = config.limits
    scan_us = own.scan_ms * 1000
    start_us = generator.longest_exchange_us["start"]
    beam_us = generator.longest_exchange_us["beam"]
    return Limits(
        prep_us=own.prep_ms * 1000,
        ready_us=own.ready_ms * 1000,
        interlock_check_us=own.interlock_check_ms * 1000,
        readout_us=own.readout_ms * 1000,
        release_us=own.release_ms * 1000,
        room_age_us=own.room_age_ms * 1000,
        panel_age_us=panel.sample_age_us * 2,
        beam_start_us=start_us + scan_us,
        status_age_us=generator.status_age_us + scan_us,
        off_confirm_us=start_us + 2 * beam_us,
        fall_us=generator.kv_fall_us,
        held_mas=generator.held_mas,
        generator_identity=config.generator.identity,
        off_lead_us=generator.off_typical_us + scan_us,
        ramp_us=generator.kv_rise_us,
        time_step_us=round(generator.time_step_ms * 1000),
        has_own_timer=generator.has_own_timer,
        overrun_us=0 if generator.has_own_timer else dead_us(generator, room),
        enable_pulse_us=room.pulse_us or 0,  # none: the driver drops what does not lapse
        safety_relay=config.safety_relay,
        ends_mas=generator.has_mas_mode and generator.account_us is not None,
        account_us=generator.account_us,
        aec=aec_data(config, generator),
        battery=charge_data(config.battery),
        panel_battery=charge_data(config.panel.battery),
        geometry=geometry_data(config),
        dap=dap_data(config),
        tube=tube_data(config),
    )


def aec_data(config: UnitConfig, generator: GeneratorCapabilities) -> AecData | None:
    """None: the bench names no chambers, or its generator takes none, or can't tell of them."""
    own, most_mas = config.aec, generator.backup_mas_max
    if own is None or most_mas is None or not generator.has_aec or generator.account_us is None:
        return None
    return AecData(
        chambers=own.chambers,
        panels=own.panels or (config.panel.panel_id,),
        sensitivities_index=own.sensitivities_index,
        density_most_index=own.density_most_index,
        backup_pct=own.backup_pct,
        site_mas=own.site_mas,
        own_mas=most_mas,
    )


def charge_data(battery: BatteryConfig | PanelBatteryConfig | None) -> ChargeData | None:
    """None: there is no battery, or nothing is asked of its charge."""
    if battery is None or battery.warn_pct is None or battery.least_pct is None:
        return None
    return ChargeData(warn_pct=battery.warn_pct, least_pct=battery.least_pct)


def geometry_data(config: UnitConfig) -> GeometryData:
    """A place that the bench file does not describe has the one distance that it names."""
    own, place, panel = config.geometry, config.receptor, config.panel
    return GeometryData(
        sid_mm=own.sid_mm,
        sid_mm_min=place.sid_mm_min if place else own.sid_mm,
        sid_mm_max=place.sid_mm_max if place else own.sid_mm,
        rows_mm=panel.rows_px * panel.pitch_mm,
        columns_mm=panel.columns_px * panel.pitch_mm,
        field_rows_mm=own.field_rows_mm,
        field_columns_mm=own.field_columns_mm,
        sensed=own.sid == "sensed",
        age_us=GEOMETRY_AGE_US,
    )


def dap_data(config: UnitConfig) -> DapData | None:
    own = config.dap
    if own is None:
        return None
    return DapData(
        output_ugy_per_mas=own.output_ugy_per_mas,
        deviation_pct=own.deviation_pct,
        deviation_dgycm2=own.deviation_dgycm2,
        wait_us=own.wait_ms * 1000,
        required=own.required,
    )


def tube_data(config: UnitConfig) -> TubeData:
    """What the tube may do, warmed up or not."""
    cold = config.warmup
    return TubeData(
        **{name: getattr(config.tube, name) for name in _TUBE},
        cold_kv_max=cold.cold_kv_max if cold else None,
        deferred_kv_max=cold.deferred_kv_max if cold else None,
        deferred_ma_max=cold.deferred_ma_max if cold else None,
        gap_us=_us(config.tube.gap_ms),
        duty_window_us=_us(config.tube.duty_window_ms),
        duty_beam_us=_us(config.tube.duty_beam_ms),
    )


def _us(ms: int | None) -> int | None:
    return None if ms is None else ms * 1000


_TUBE = tuple(name for name in TubeData.__dataclass_fields__ if name in TubeConfig.model_fields)


def dead_us(generator: GeneratorCapabilities, room: RoomCapabilities) -> int:
    """From the start of a unit's last scan to HV off, by the relay pulse, at worst.

    The scan may have been held up until the pulse had nearly lapsed, then renew it, and die.
    A module without a pulse: by its watchdog, else by the generator's, fed as late.
    """
    if room.lapse_us is not None:
        renewed_us = room.lapse_us + room.reply_us
        return renewed_us + room.lapse_us + RELAY_DROP_US + generator.kv_fall_us
    if generator.watchdog_us is not None:
        fed_us = generator.watchdog_us + generator.longest_exchange_us["beam"]
        return fed_us + generator.watchdog_us + generator.kv_fall_us
    return PROGRAMME_ALONE_US


def bounds(
    config: UnitConfig,
    generator: GeneratorCapabilities,
    room: RoomCapabilities,
    panel: PanelCapabilities,
    interlock_pair: tuple[str, ...],
) -> list[Bound]:
    """`interlock_pair`: the contacts that stand in the generator's pair themselves."""
    scan_us = config.limits.scan_ms * 1000
    seen_us = room.sample_age_us + scan_us
    open_pair_us = seen_us + room.reply_us + RELAY_DROP_US + generator.kv_fall_us
    off_us = generator.longest_exchange_us["beam"] + generator.off_latency_us
    watchdog_us = generator.watchdog_us
    rows = [
        Bound(sr="SR-17", what="release -> kV off", goal_us=50_000,
              bound_us=RELAY_DROP_US + generator.kv_fall_us, layer="chain",
              note="stage 2 stands in the interlock pair"),
        Bound(sr="SR-17", what="release -> kV off, by the enable output alone", goal_us=50_000,
              bound_us=open_pair_us, layer="wire"),
        Bound(sr="SR-17", what="release -> kV off, by the OFF command alone", goal_us=50_000,
              bound_us=seen_us + off_us + generator.kv_fall_us, layer="wire",
              note="one status exchange may be on the line"),
        _door_or_estop(interlock_pair, generator),
        _unit_dead(config, generator, room),
        Bound(sr="SR-09", what="age of the interlock sample", goal_us=100_000,
              bound_us=room.sample_age_us, layer="wire"),
        Bound(sr="SR-27", what="age of the generator's status in the beam", goal_us=100_000,
              bound_us=generator.status_age_us, layer="wire"),
        Bound(sr="SR-10", what="window request -> integrating", goal_us=300_000,
              bound_us=panel.window_request_us, layer="wire"),
    ]  # fmt: skip
    if not generator.has_own_timer:
        lapse_us = _unit_dead(config, generator, room).bound_us
        rows.append(
            Bound(sr="SR-21", what="planned end -> kV off, though OFF is lost", goal_us=150_000,
                  bound_us=scan_us + lapse_us, layer="relay pulse",
                  note="the generator has no timer: the unit is the timer, and renews the pulse")
        )  # fmt: skip
    if aec_data(config, generator) is not None:
        rows.append(
            Bound(sr="SR-23", what="AEC that sees nothing -> beam off", goal_us=50_000,
                  bound_us=round(config.tube.time_max_ms * 1000), layer="device timer",
                  note="this wire carries no ramp: the back-up ends it, the account tells it")
        )  # fmt: skip
    if room.pulse_us is not None and room.watchdog_us is not None:
        rows.append(
            Bound(sr="SR-28", what="line silent -> kV off, by the room module's watchdog",
                  goal_us=150_000, layer="module watchdog",
                  bound_us=room.watchdog_us + RELAY_DROP_US + generator.kv_fall_us,
                  note="as it is set in the module")
        )  # fmt: skip
    if watchdog_us is not None:
        rows.append(
            Bound(sr="SR-28", what="line silent -> kV off, by the generator's watchdog",
                  goal_us=150_000, bound_us=watchdog_us + generator.kv_fall_us, layer="watchdog",
                  note="its shortest setting")
        )  # fmt: skip
    return rows


def _unit_dead(
    config: UnitConfig, generator: GeneratorCapabilities, room: RoomCapabilities
) -> Bound:
    """By the first layer that this bench has."""
    opens_us = RELAY_DROP_US + generator.kv_fall_us
    if room.pulse_us is not None:
        bound_us, layer = room.pulse_us + opens_us, "relay pulse"
        note = "self-timed, re-triggered by the scan"
    elif room.watchdog_us is not None:
        bound_us, layer = room.watchdog_us + opens_us, "module watchdog"
        note = "as it is set in the room module, which has no self-timed pulse"
    elif generator.watchdog_us is not None:
        bound_us, layer = generator.watchdog_us + generator.kv_fall_us, "watchdog"
        note = "the room module has no self-timed pulse"
    else:
        longest_us = round(config.tube.time_max_ms * 1000)
        bound_us, layer = longest_us + generator.kv_rise_us + generator.kv_fall_us, "device timer"
        note = "the longest beam: the room module has no self-timed pulse"
    return Bound(
        sr="SR-28", what=UNIT_DEAD, goal_us=150_000, bound_us=bound_us, layer=layer, note=note
    )


def _door_or_estop(interlock_pair: tuple[str, ...], generator: GeneratorCapabilities) -> Bound:
    """A contact that the pair does not hold acts through the latching safety relay."""
    through_relay = not {"door", "estop"} <= set(interlock_pair)
    relay_us = SAFETY_RELAY_DROP_US if through_relay else 0
    return Bound(
        sr="SR-19", what="door or e-stop -> kV off", goal_us=15_000,
        bound_us=relay_us + RELAY_DROP_US + generator.kv_fall_us, layer="chain",
        note="through the safety relay" if through_relay else "",
    )  # fmt: skip
