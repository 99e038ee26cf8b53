"""`dxrig talk`: one harmless command at a time to a device on a bench's link, and its reply."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json
from rig.options import at_option, bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from firmware_py.config import UnitConfig
    from hal.ports import ByteLink
    from rig.bench import Bench
    from rig.service.talk import Reply


@click.command(
    epilog="""\b
Examples:
  dxrig talk generator "MON"
  dxrig talk generator "VP 80" --json
  dxrig talk generator "hex 02 4d 4f 4e 0d"
  dxrig talk generator technique                        R2CP: databank 1
  dxrig talk generator "technique kv=80 ma=100 mas=2.5 focus=small"
  dxrig talk room inputs
  dxrig talk generator                     a prompt, with history; Ctrl-D ends it
  dxrig talk generator MON --play FILE     the device as a tap recorded it

\b
Words: of the IXS its mnemonics (MON; VP 80; VP0800); of R2CP its entries
(status, databank 1, post_exposure, version) and its set-points (technique
with focus; assign); of a Spellman its commands by name or number (status,
set_kv 80); of an I/O module inputs and coils; of a device of lines the line as
it stands; of each the bytes: hex 02 4d.
Preparation and exposure are words, too, and are refused by name.

Only what the driver's command table calls a query or a set-point leaves; everything else is
refused by name with exit code 4: what starts or readies a beam, relays, resets, protections,
unknown bytes. The bench is held meanwhile. Exit code 3 when no reply comes.
"""
)
@click.argument("link", type=click.Choice(["generator", "room"]))
@click.argument("words", metavar="[COMMAND]", required=False)
@bench_option
@at_option
@click.option(
    "--play",
    metavar="FILE|RUN",
    type=click.Path(path_type=Path),
    help="Answers of a tap or a run instead of a device: no port is opened.",
)
@click.option("--allow-settings", is_flag=True, help="Permit set-points on a real bench.")
@click.option(
    "--wait-s",
    type=click.FloatRange(0.01, 30),
    default=1.0,
    show_default=True,
    help="How long to wait for a reply.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    link: str,
    words: str | None,
    bench: str | None,
    at: Path | None,
    play: Path | None,
    allow_settings: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Send one harmless command to a device, and show its reply."""
    from rig.exit_codes import UsageError
    from rig.service.hearing import listener_of
    from rig.service.phrases import bytes_of
    from rig.service.port import talker_on
    from rig.service.talk import allowed

    if as_json and words is None:
        raise UsageError("--json answers one command: name it")
    chosen = chosen_bench(ctx, bench) if play is None else None
    if words is not None and chosen is not None:  # refused before any port is opened
        judge = listener_of(chosen.unit, link)
        assert judge is not None
        allowed(judge, bytes_of(chosen.unit, link, words))
    with _line(chosen, link, at, play) as (unit, port, simulated):
        talker = talker_on(unit, link, port)

        def ask(text: str) -> Reply:
            data = bytes_of(unit, link, text)
            return talker.ask(data, settings=allow_settings or simulated, wait_s=wait_s)

        if words is None:
            _prompt(link, ask, _history(chosen))
        else:
            _answer(link, ask(words), as_json=as_json)


@contextmanager
def _line(
    bench: Bench | None, link: str, at: Path | None, play: Path | None
) -> Iterator[tuple[UnitConfig, ByteLink, bool]]:
    """(unit, port, is anything but a real device behind it)"""
    if play is not None:
        from rig.service.play import Played
        from rig.service.tape import read_tape

        unit, passages, _ = read_tape(play)
        numbered = link == "room" and unit.room.url.startswith("tcp://")
        yield unit, Played(passages, link, numbered=numbered), True
        return
    from rig.service.port import open_port

    assert bench is not None
    with open_port(bench, link, at, "dxrig talk") as opened:
        yield opened


def _answer(link: str, reply: Reply, *, as_json: bool) -> None:
    """Raises DeviceError when none came."""
    from rig.exit_codes import DeviceError

    if as_json and reply.took_ms is not None:
        heard = [{"raw": h.raw.hex(" "), "kind": h.kind, "text": h.text} for h in reply.heard]
        sent = {"raw": reply.sent.raw.hex(" "), "kind": reply.sent.kind, "text": reply.sent.text}
        answer_json({"link": link, "sent": sent, "heard": heard, "took_ms": reply.took_ms})
        return
    if not as_json:
        _tell(reply)
    if reply.took_ms is None:
        noise = ", only bytes that are no reply" if reply.heard else ""
        raise DeviceError(
            f"{link}: no reply to {reply.sent.text}{noise}; a device may leave what it refuses "
            "unanswered. Check power, cable, baud rate and dialect"
        )


def _tell(reply: Reply) -> None:
    click.echo(f"-> {reply.sent.raw.hex(' ')}")
    click.echo(f"   {reply.sent.kind.value}: {reply.sent.text}")
    for heard in reply.heard:
        click.echo(f"<- {heard.raw.hex(' ')}")
        click.echo(f"   {heard.kind.value}: {heard.text}")
    if reply.took_ms is not None:
        click.echo(f"   after {reply.took_ms:.1f} ms")


def _history(bench: Bench | None) -> Path | None:
    from rig.state_dir import bench_state

    return None if bench is None else bench_state(bench.name) / "talk.history"


def _prompt(link: str, ask: Any, history: Path | None) -> None:
    """At a terminal a mistake is told and the next line awaited; a script ends at its first."""
    from rig.exit_codes import DxrigError

    terminal = sys.stdin.isatty()
    with _remembered(history if terminal else None):
        while True:
            try:
                text = input(f"{link}> " if terminal else "").strip()
            except EOFError:
                return
            if not text or text.startswith("#"):
                continue
            try:
                _answer(link, ask(text), as_json=False)
            except DxrigError as error:
                if not terminal:
                    raise
                click.echo(f"dxrig: {error}", err=True)


@contextmanager
def _remembered(history: Path | None) -> Iterator[None]:
    """Arrow keys bring back what was typed here before; not every Python has readline."""
    try:
        import readline
    except ImportError:
        readline = None  # type: ignore[assignment]
    if history is None or readline is None:
        yield
        return
    if history.is_file():
        readline.read_history_file(history)
    try:
        yield
    finally:
        readline.set_history_length(500)
        readline.write_history_file(history)
