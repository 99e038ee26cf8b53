"""`dxrig demo`: the first thing to try. One simulated exposure from handswitch to DICOM file.

The wire rung is the default: its processes, ports and seconds are real, so there is something
to watch and what is shown is what a bench does. It takes about 6 s (7 s on a busy computer).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json
from rig.exit_codes import UsageError
from rig.options import bench_option, chosen_bench, json_option
from rig.progress import progress_option

if TYPE_CHECKING:
    from hal.types import Technique
    from rig.bench import Bench

DEFAULT_BENCH = "mobile"


@click.command(
    epilog="""\b
Examples:
  dxrig demo
  dxrig demo --rung model --kvp 70 --mas 4 --out demo-70
  dxrig demo --bench portable
  dxrig demo --json

Two demos on the model rung with the same seed leave identical files.
"""
)
@click.option(
    "--rung",
    type=click.Choice(["model", "wire"]),
    default="wire",
    show_default=True,
    help="wire: real processes, ports and time; model: virtual time, at once.",
)
@bench_option
@click.option("--kvp", type=float, help="Tube voltage, kV.  [default: of the bench's typical shot]")
@click.option("--mas", type=float, help="Charge that ends the beam.  [default: of that shot]")
@click.option("--ma", type=float, help="Tube current, mA.  [default: of that shot, or for --mas]")
@click.option("--ms", type=float, help="Time that ends the beam; needs --ma.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Noise and defects.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files: new or empty.")
@progress_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    rung: str,
    bench: str | None,
    kvp: float | None,
    mas: float | None,
    ma: float | None,
    ms: float | None,
    seed: int | None,
    out: Path | None,
    progress: str,
    as_json: bool,
) -> None:
    """Make one simulated exposure, from start to picture."""
    from rig.demo import demo, prepared
    from rig.demo_view import follower, tell

    chosen = chosen_bench(ctx, bench, DEFAULT_BENCH)
    technique = _technique(chosen, kvp, ma, mas, ms)
    folder = prepared(chosen, technique, out)
    if as_json and progress == "auto":
        progress = "none"
    with follower(progress, chosen, rung, technique) as follow:
        made = demo(chosen, technique, rung=rung, seed=seed, folder=folder, follow=follow)
    if as_json:
        names = ("end_reason", "fault", "technique", "measured", "timeline")
        facts = {name: made.manifest[name] for name in names}
        place = {"run": str(made.folder), "bench": chosen.name, "rung": rung, "simulated": True}
        answer_json(place | facts | {"files": made.files, "problems": list(made.problems)})
    else:
        tell(made, chosen, technique)
    if made.problems:
        ctx.exit(1 if made.ended_as_planned else 3)


def _technique(
    bench: Bench, kvp: float | None, ma: float | None, mas: float | None, ms: float | None
) -> Technique:
    """What is not asked for is that of the bench's typical shot. Raises UsageError."""
    from rig.drivers import must_drive_beam
    from rig.plan import technique_for

    must_drive_beam(bench.unit.generator.driver)
    typical = bench.typical
    if typical is None and (kvp is None or (ms is None and mas is None)):
        raise UsageError(f"bench {bench.name} has no [typical] shot: give --kvp, and --mas or --ms")
    if typical is not None:
        kvp = typical.kv if kvp is None else kvp
        if ms is None and mas is None:
            mas = typical.mas
            ma = typical.ma if ma is None else ma
    assert kvp is not None
    return technique_for(bench.unit.tube, kvp, ma=ma, mas=mas, ms=ms)
