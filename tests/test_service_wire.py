"""tap, talk, params and snapshot as people start them, beside a simulated bench on real ports."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hal.links import SerialLink
from tests.live_bench import ROOT, LiveBench, ended, live_bench
from tests.test_tap import MON, ON
from tests.test_unit_commands import Standing

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 20)[0]
    return process.stdout.readline().rstrip("\n")


def asked(port: SerialLink, data: bytes, until: bytes = b"\r") -> bytes:
    port.write(0, data)
    reply, end_s = b"", time.monotonic() + 10
    while not reply.endswith(until):
        assert time.monotonic() < end_s, reply
        reply += port.read(0)
        time.sleep(0.001)
    return reply


def test_a_client_through_the_tap_hears_the_device_and_the_file_keeps_it(
    live: LiveBench, tmp_path: Path
) -> None:
    file = tmp_path / "one.tap"
    process = live.start("tap", "generator", "--through", "--out", str(file))
    head = line_of(process)
    url = head.partition("<-> ")[2].partition(":")[0]
    assert head == (
        f"generator {live.facts['generator']['url']} <-> {url}: the client connects there; "
        "Ctrl-C ends it"
    )
    client = SerialLink(url)
    assert asked(client, MON).startswith(b"\x020000 00000 ")
    client.close()
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.returncode == 0, done.stderr
    assert "generator -> query   monitor?" in done.stdout
    assert done.stdout.splitlines()[-2] == "generator: 1 frames to the device, 1 back, 0 errors"
    again = json.loads(live.here("tap", "--read", str(file), "--json").stdout)
    assert again["frames"][0]["raw"] == MON.hex(" ")
    played = live.here("talk", "generator", "MON", "--play", str(file), "--json")
    assert json.loads(played.stdout)["heard"][0]["text"].startswith("monitor: 0.0 kV")


def test_one_command_is_answered_and_one_that_beams_never_leaves(live: LiveBench) -> None:
    found = json.loads(live.run("talk", "generator", "SNUM", "--json").stdout)
    assert found["heard"][0]["text"] == "serial number: S17085-A00001"
    assert found["took_ms"] > 0
    refused = live.here("talk", "generator", f"hex {ON.hex(' ')}")
    assert refused.returncode == 4
    assert live.show()["beams"] == []


def test_at_a_terminal_it_prompts_goes_on_after_a_mistake_and_remembers(live: LiveBench) -> None:
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "talk", "generator"],
        cwd=ROOT, env=live.environment | {"TERM": "dumb"},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    said = until(master, "generator> ")
    os.write(master, b"ENBL1\n")
    said = until(master, "only the handswitch of a unit does", "generator> ")
    os.write(master, b"STAT\n")
    said = until(master, "X-ray on? no", "generator> ")
    os.write(master, b"\x04")
    assert process.wait(20) == 0, said
    os.close(master)
    assert (live.state / "talk.history").read_text(encoding="utf-8").split() == ["ENBL1", "STAT"]


def until(master: int, *words: str) -> str:
    """The last of the words must come after the others."""
    seen, end_s = "", time.monotonic() + 20
    for word in words:
        start = 0
        while word not in seen[start:]:
            assert time.monotonic() < end_s, seen
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 4096).decode(errors="replace")
        seen = seen[seen.index(word, start) + len(word) :]
    return seen


def test_a_real_port_takes_set_points_only_with_a_permit(live: LiveBench) -> None:
    file = str(live.bench_file("mine"))
    refused = live.here("talk", "generator", "VP 70", "--bench", file)
    assert (refused.returncode, refused.stderr) == (
        4,
        "dxrig: tube voltage 70 kV: the port is real and this changes a set-point; "
        "add --allow-settings\n",
    )
    allowed = live.here("talk", "generator", "VP 70", "--bench", file, "--allow-settings")
    assert allowed.returncode == 0, allowed.stderr


def test_settings_and_a_snapshot_are_read_over_the_real_ports(
    live: LiveBench, tmp_path: Path
) -> None:
    assert live.here("params", "save", str(tmp_path / "p.toml")).returncode == 0
    done = live.here("snapshot", "take", str(tmp_path / "s.json"), "--json")
    found: dict[str, Any] = json.loads(done.stdout)["snapshot"]
    assert found["devices"]["generator"]["serial"] == "S17085-A00001"
    assert found["devices"]["room"]["driver"] == "waveshare"


def test_beside_a_unit_tap_follows_its_record_and_talk_is_refused(
    live: LiveBench, tmp_path: Path
) -> None:
    unit = Standing(live)
    try:
        found = json.loads(live.here("tap", "--for-s", "1.5", "--json").stdout)
        refused = live.here("talk", "generator", "STAT")
        live.here("snapshot", "take", str(tmp_path / "s.json"))
    finally:
        unit.end()
    texts = {one["text"] for one in found["frames"]}
    assert {"unit 1: read inputs 0-7", "X-ray on? no"} & texts
    for link in ("generator", "room", "panel"):
        assert found["summary"][link]["frames_to_device"] > 0
        assert found["summary"][link]["errors"] == 0
    assert refused.returncode == 3
    assert "is in use by `dxrig expose`" in refused.stderr
    kept = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert (kept["unit"]["state"], kept["devices"]) == ("STANDBY", {})
