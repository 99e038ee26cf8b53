"""Draw the sequence's table as a Mermaid diagram into firmware_py/decide/README.md.

    python tools/draw_states.py           writes it
    python tools/draw_states.py --check   says whether it is current (exit code 1: no)

The trips are one note instead of nineteen arrows. A fresh machine is drawn, and the
classes that would colour a current state are left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from transitions.extensions import GraphMachine

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from firmware_py.decide.memory import State  # noqa: E402 - run from a clone, not installed
from firmware_py.decide.states import SEQUENCE, TRIPS, Row  # noqa: E402

PAGE = ROOT / "firmware_py/decide/README.md"
BEGIN = "<!-- drawn by tools/draw_states.py: begin -->\n"
END = "<!-- drawn by tools/draw_states.py: end -->\n"
COLOURS = re.compile(r"^\s*(classDef|Class|class) ")


def diagram() -> str:
    lines = [line for line in _drawn(SEQUENCE) if not COLOURS.match(line) and line.strip()]
    return "\n".join([*lines, f"  note right of {State.FAULT.value} : {trips_note()}"])


def _drawn(rows: Iterable[Row]) -> list[str]:
    """What transitions draws, without its title and without the name of the only trigger."""
    model = _Model()
    machine = GraphMachine(
        model=model,
        states=State,
        initial=State.BOOT,
        auto_transitions=False,
        show_conditions=True,
        graph_engine="mermaid",
    )
    for row in rows:
        machine.add_transition("scan", row.source, row.dest, conditions=[row.when])
    text: str = model.get_graph().draw(None)  # type: ignore[attr-defined]
    body = text[text.index("stateDiagram-v2") :]
    return re.sub(r"scan \[(\w+)\]", r"\1", body).splitlines()


class _Model:
    """transitions adds `get_graph` to it."""


def trips_note() -> str:
    """`from every state but LOCKED to LOCKED when fault_that_locks, ...`, from the table."""
    ways: dict[tuple[State, str], set[State]] = {}
    for row in TRIPS:
        ways.setdefault((row.dest, row.when.__name__), set()).add(row.source)
    return ", ".join(
        f"from every state{_but(sources)} to {dest.value} when {when}"
        for (dest, when), sources in ways.items()
    )


def _but(sources: set[State]) -> str:
    others = [state.value for state in State if state not in sources]
    return f" but {' and '.join(others)}" if others else ""


def page_with(drawn: str, page: str) -> str:
    """The page with `drawn` between the markers; ValueError when a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs the two lines\n{BEGIN}{END}")
    return f"{before}{BEGIN}```mermaid\n{drawn}\n```\n{END}{after}"


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    wanted = page_with(diagram(), page)
    if arguments == ["--check"]:
        print("current" if wanted == page else "outdated: run python tools/draw_states.py")
        return int(wanted != page)
    if arguments:
        print(__doc__)
        return 2
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
