"""A simulated bench on real ports: `dxrig sim up` runs this in the foreground.

Pseudo-terminal, TCP and ZeroMQ on loopback; a control bus for the hand, the contacts and
the faults. The world is the model rung's, moved by the clock that really runs.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from hal.bus import BusServer, Client
from hal.clock import DEVICE_PRIORITY, WallClock, real_time
from hal.detectors.stream_panel_desk import REFUSAL
from hal.device_links import ListenerLink, PtyLink
from hal.frames import PushLink, RouterLink
from hal.generators import verified
from hal.ports import LinkError
from rig.bench import Bench
from rig.exit_codes import DeviceError, UsageError
from rig.injections import steps_of
from rig.model import setting_of
from rig.run_model import beams_of
from rig.scenario_words import INJECT
from rig.simulator import OPTIONAL
from sim.arcs import gas_after
from sim.build import Ends, build_world
from sim.generator_wires import wire_of
from sim.in_place import faults_in_place, supply_of
from sim.script import NotOnThisBenchError, Script, ScriptError, Step, do

SHOWN_COUNT = 200  # moves of nets, the newest
LOOP_S = 0.001  # how late a device may notice its line


class SimServer:
    def __init__(
        self,
        bench: Bench,
        sockets: Path,
        *,
        seed: int | None = None,
        uncalibrated: bool = False,
        idle_s: float = 0.0,
        faults: Sequence[str] = (),
    ) -> None:
        """`sockets`: a short private folder for socket files.

        `uncalibrated` and `idle_s` say how a unit finds the bench: without a calibration
        set of its panel; so long after the tube's last beam (0 = warmed up just now), so that
        it arcs the sooner.
        `faults`: injections or signatures that are there from the start on. Raises UsageError
        for one that can't be.
        """
        if bench.unit.panel.lines is not None:
            raise UsageError(
                f"{bench.name}: a panel on lines, and its folder, are simulated on the model rung "
                f"only: dxrig run rig/scenarios/lines --bench {bench.name}"
            )
        injected = [(fault, step) for fault in faults for step in steps_of(fault, "start", bench)]
        setting = setting_of(bench, seed)
        try:
            serial = wire_of(bench.unit.generator.driver).serial
            pty = serial and bench.unit.generator.form.pty_can
            self._generator = PtyLink() if pty else ListenerLink()
            self._scheme = "socket" if serial else "tcp"
            self._listener = ListenerLink()
            self._control = RouterLink(f"ipc://{sockets}/panel", refusal=REFUSAL)
            self._data = PushLink(f"ipc://{sockets}/frames")
            self._bus = BusServer(f"ipc://{sockets}/control")
            self._beside = {name: PtyLink() for name in OPTIONAL if getattr(bench.unit, name)}
        except LinkError as error:
            raise DeviceError(str(error)) from error
        self.bench = bench
        self._verified = verified(bench.unit.generator.driver)
        self.seed = bench.sim.seed if seed is None else seed
        self.uncalibrated, self.idle_s = uncalibrated, idle_s
        self.started_at = datetime.now(UTC)
        self._clock = WallClock()
        ends = Ends(
            generator=self._generator,
            room=self._listener,
            panel_control=self._control,
            panel_data=self._data,
            **self._beside,
        )
        self.world = build_world(setting, ends)
        self.world.generator.gassy_tube = gas_after(idle_s)
        self.world.on_event = lambda t_us, name: self._publish("event", name=name, t_us=t_us)
        self.faults = list(faults)
        for fault, step in injected:
            try:
                do(self.world, step.do, step.args)
            except NotOnThisBenchError as error:
                self.close()
                reason = str(error).partition("; there are")[0]
                raise UsageError(f"{fault}: {reason}") from None
        self._script: Script | None = None
        self.stopping = False

    def announcement(self) -> dict[str, Any]:
        """Where each device can be reached; serial urls are bare device paths."""
        return {
            "bench": self.bench.name,
            "bench_sha256": self.bench.hash,
            "seed": self.seed,
            "uncalibrated": self.uncalibrated,
            "idle_s": self.idle_s,
            "faults": self.faults,
            "started_at": self.started_at.isoformat(),
            "generator": {"url": _url(self._generator, self._scheme), "verified": self._verified},
            "room": {"url": _url(self._listener)},
            "panel": {
                "control_url": self._control.endpoint,
                "data_url": self._data.endpoint,
                "panel_id": self.bench.unit.panel.panel_id,
            },
            **{name: {"url": link.path} for name, link in self._beside.items()},
            "control": self._bus.endpoint,
        }

    def serve(self) -> None:
        """Until `stopping` is set (by a signal)."""
        real_time(DEVICE_PRIORITY)
        try:
            while not self.stopping:
                self._wait()
                self.world.live(self._clock.now_us())
                for client, message in self._bus.poll():
                    self._answer(client, message)
        finally:
            self.close()

    def close(self) -> None:
        own = (self._generator, self._listener, self._control, self._data, self._bus)
        for link in (*own, *self._beside.values()):
            with contextlib.suppress(OSError):
                link.close()

    def _wait(self) -> None:
        waiting = [*_filenos(self._generator), *_filenos(self._listener)]
        waiting += [link.fileno() for link in self._beside.values()]
        select.select(waiting, [], [], LOOP_S)

    def _publish(self, kind: str, **facts: Any) -> None:
        self._bus.publish({"schema": 1, "kind": kind, **facts})

    # --- what may be asked of a simulated room

    def _answer(self, client: Client, message: Mapping[str, Any]) -> None:
        kind = str(message["kind"])
        handler = getattr(self, f"_do_{kind}", None)
        try:
            answer = handler(message) if handler else {"error": f"unknown kind {kind!r}"}
        except (ScriptError, KeyError, TypeError, ValueError) as error:
            answer = {"error": f"{kind}: {error}"}
        self._bus.reply(client, {"schema": 1, "kind": f"{kind}.answer", **answer})

    def _do_announcement(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A file may be stale or wrong: whoever is about to beam asks the simulator itself."""
        return self.announcement()

    def _do_show(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return show(self)

    def _do_do(self, message: Mapping[str, Any]) -> dict[str, Any]:
        verb, args = str(message["verb"]), message.get("args", {})
        if verb != INJECT:
            do(self.world, verb, args)
            return {}
        for step in steps_of(str(args["id"]), "scenario", self.bench):
            self._later(step.after_ms, step.do, step.args)
        return {}

    def _later(self, after_ms: float, verb: str, args: Mapping[str, Any]) -> None:
        if after_ms:
            at_us = self.world.t_us + round(after_ms * 1000)
            self.world.at(at_us, lambda _: do(self.world, verb, args))
        else:
            do(self.world, verb, args)

    def _do_press(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The hand: a stage pressed, and released by itself after `for_ms` if given."""
        world = self.world
        do(world, "press", {"stage": int(message["stage"])})
        for_ms = message.get("for_ms")
        if for_ms is not None:
            release_us = world.t_us + round(float(for_ms) * 1000)
            world.at(release_us, lambda t_us: do(world, "release", {}))
        return {}

    def _do_script(self, message: Mapping[str, Any]) -> dict[str, Any]:
        steps = [Step(**step) for step in message["steps"]]
        self._script = Script(self.world, steps, lambda verb: self._publish("unit", verb=verb))
        self._script.event("start")
        return {}

    def _do_event(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if self._script is not None:
            self._script.event(str(message["name"]))
        return {}

    def stamp(self, t_us: int) -> str:
        """The computer's clock when the world's was there."""
        return (self.started_at + timedelta(microseconds=t_us)).isoformat()

    @property
    def actions(self) -> list[tuple[int, str]]:
        return self._script.done if self._script else []


def _url(link: PtyLink | ListenerLink, scheme: str = "tcp") -> str:
    """A serial line that a pseudo-terminal can't be is a socket:// of pyserial's."""
    return link.path if isinstance(link, PtyLink) else f"{scheme}://{link.host}:{link.port}"


def _filenos(link: PtyLink | ListenerLink) -> list[int]:
    return [link.fileno()] if isinstance(link, PtyLink) else link.filenos()


def show(server: SimServer) -> dict[str, Any]:
    """The room as it stands, by the simulator's own word."""
    world = server.world
    rotor = world.generator.rotor
    heard = chain(world.heard_at_off_us, repeat({}))  # the beam that is on has none yet
    return {
        "t_us": world.t_us,
        "contacts": dict(world.wiring.contacts),
        "safety_relay": world.wiring.safety_relay,
        "relays": {
            "enable": world.wiring.enable.contact,
            "contactor": world.wiring.contactor.contact,
        },
        "coils": world.room.lit(),
        "beam_on": world.generator.beam_on(world.t_us),
        "panel": world.panel.state(world.t_us),
        "panel_in_beam": world.panel.in_beam,
        "panel_keeps": list(world.panel.kept()),
        "phantom": world.panel.phantom_name,
        "optics": asdict(world.geometry.optics.now()),
        "sid_mm": world.geometry.sid_mm,
        "field_mm": list(world.geometry.field_mm),
        "faults_in_place": faults_in_place(world),
        "supply": supply_of(world),
        "battery_charge": world.generator.charge(world.t_us),
        "panel_battery_pct": world.panel.battery_pct(world.t_us),
        "rotor_rpm": None if rotor is None else rotor.rpm(world.t_us),
        "beams": [
            {
                "on_us": beam.on_us,
                "off_us": beam.off_us,
                "gone_us": beam.gone_us,
                "mas": beam.mas,
                "heard_us": heard_us,  # of each device: the last word before the beam went off
            }
            for beam, heard_us in zip(beams_of(world), heard, strict=False)
        ],
        "meter": [
            {**asdict(one), "ended_at": server.stamp(one.off_us)} for one in world.meter.readings()
        ],
        "actions": [{"t_us": t_us, "do": verb} for t_us, verb in server.actions],
        "nets": [
            {"t_us": t_us, "net": net, "closed": closed}
            for t_us, net, closed in [*world.wiring.log][-SHOWN_COUNT:]
        ],
    }
