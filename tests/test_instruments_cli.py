"""`dxrig meter` and `dxrig scope`: twelve shots, a meter's file with a row too many, a trace.

What is expected is worked out here by plain arithmetic from the literals of the session.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from math import log, sqrt
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rig.cli import main
from tests.meter_files import Made, at, write_journal
from tests.scope_files import samples, write_tek

SECONDS = (0.0, 35.0, 71.0, 118.0, 160.0, 199.5, 260.0, 301.0, 340.0, 399.0, 444.0, 480.0)
AHEAD_S = 3600.0  # nobody has put the meter's clock back from summer time


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Asked for and indicated: kV, mA; measured: kV, uGy, HVL."""

    kv: float
    ma: float
    measured_kv: float
    dose_ugy: float
    hvl_mm: float | None = None
    al_mm: float = 0.0


SESSION = (
    *(
        Shot(kv=80.0, ma=1.0, measured_kv=81.2, dose_ugy=dose, hvl_mm=3.05)
        for dose in (5.0, 5.1, 5.0, 4.9)
    ),
    *(Shot(kv=80.0, ma=2.0, measured_kv=80.8, dose_ugy=d) for d in (10.4, 10.4, 10.2, 10.2)),
    Shot(kv=100.0, ma=1.0, measured_kv=112.0, dose_ugy=7.7),
    Shot(kv=100.0, ma=1.0, measured_kv=108.5, dose_ugy=7.6),
    Shot(kv=80.0, ma=1.0, measured_kv=81.0, dose_ugy=3.1, al_mm=2.0),
    Shot(kv=80.0, ma=1.0, measured_kv=81.0, dose_ugy=2.1, al_mm=4.0),
)  # fmt: skip
ASKED_MS, INDICATED_MS, MEASURED_MS = 100.0, 100.4, 101.2
EXTRA = 8  # a row before exposure 8's: somebody touched the meter
OPTIONS = (
    "--map", "raysafe-like", "--distance", "75cm",
    "--uncertainty", "kv=2", "--uncertainty", "time=1", "--uncertainty", "dose=5",
    "--uncertainty", "hvl=4", "--repeat", "dose=0.5", "--al", "17=2", "--al", "18=4",
)  # fmt: skip


def mas_of(shot: Shot) -> float:
    """As the unit indicates it."""
    return shot.ma * INDICATED_MS / 1000.0


def row_of(number: int) -> int:
    """The file's row of an exposure: five rows of head, and the extra one."""
    return number + 5 + (number >= EXTRA)


def meter_file(path: Path, due: str = "2026-03-01") -> Path:
    lines = ["Model,X2 base", "Serial number,213456", f"Calibration due,{due}", ""]
    lines.append("Date,Time of day,kVp (kV),Dose (mGy),Time (ms),HVL (mm Al)")
    for number, (seconds, shot) in enumerate(zip(SECONDS, SESSION, strict=True), start=1):
        if number == EXTRA:
            lines.append(f"{stamp(seconds - 20)},OL,0.00003,---,")
        hvl = "" if shot.hvl_mm is None else f"{shot.hvl_mm}"
        values = f"{shot.measured_kv},{shot.dose_ugy / 1000:.5f},{MEASURED_MS},{hvl}"
        lines.append(f"{stamp(seconds + MEASURED_MS / 1000)},{values}")
    path.write_text("\n".join(lines) + "\n")
    return path


def stamp(seconds: float) -> str:
    return f"{at(seconds + AHEAD_S):%Y-%m-%d,%H:%M:%S}"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("DXRIG_BENCH", raising=False)
    state = tmp_path / "dxrig" / "portable"
    made = [
        Made(
            seconds=seconds, kv=shot.kv, ma=shot.ma, ms=ASKED_MS,
            indicated={
                "kv": shot.kv, "ma": shot.ma, "mas": mas_of(shot), "beam_ms": INDICATED_MS,
            },
        )
        for seconds, shot in zip(SECONDS, SESSION, strict=True)
    ]  # fmt: skip
    write_journal(state, made)
    return state


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output
    return result


def answer(*words: str, code: int = 0, dry: bool = False) -> dict[str, Any]:
    more = ("--dry-run",) if dry else ()
    content: dict[str, Any] = json.loads(run(*words, *more, "--json", code=code).stdout)
    return content


def imported(folder: Path, *more: str, code: int = 1) -> dict[str, Any]:
    """One kV fails, so the code is 1."""
    path = folder / "meter.csv"
    if not path.exists():
        meter_file(path)
    return answer("meter", "import", str(path), *OPTIONS, *more, code=code)


def of(found: dict[str, Any], test: str) -> list[dict[str, Any]]:
    return [one for one in found["findings"] if one["test"] == test]


# --- the session


def test_twelve_rows_are_paired_and_the_thirteenth_is_left_over(
    state: Path, tmp_path: Path
) -> None:
    found = imported(tmp_path)
    assert [(p["row"], p["number"], p["exposure"]) for p in found["pairs"]] == [
        (row_of(n), n, f"x{n}") for n in range(1, 13)
    ]
    assert found["rows_left"] == [
        {"row": 13, "why": "no exposure at its time; the nearest, 8, is 19.9 s away"}
    ]
    assert found["exposures_left"] == []
    assert found["clock_ahead_s"] == pytest.approx(AHEAD_S, abs=0.6)
    assert max(abs(p["residual_s"]) for p in found["pairs"]) <= 0.6
    assert (found["calibration"], found["ambiguous"], found["import"]) == ("valid", False, 1)


def test_kv_and_time_of_the_session_are_judged_to_the_last_digit(
    state: Path, tmp_path: Path
) -> None:
    found = imported(tmp_path)
    for test, unit_value, measured, u_pct in (
        ("kv", lambda s: s.kv, lambda s: s.measured_kv, 2.0),
        ("time", lambda _s: INDICATED_MS, lambda _s: MEASURED_MS, 1.0),
    ):
        rows = of(found, test)
        assert [one["exposures"] for one in rows] == [[n] for n in range(1, 13)]
        for one, shot in zip(rows, SESSION, strict=True):
            deviation = 100 * (measured(shot) - unit_value(shot)) / unit_value(shot)
            u = u_pct * measured(shot) / unit_value(shot)
            assert one["found"] == pytest.approx(deviation)
            assert one["uncertainty"] == pytest.approx(u)
            fails = abs(deviation) - u > 10
            passes = abs(deviation) + u <= 10
            assert one["verdict"] == ("pass" if passes else "fail" if fails else "not decided")
    kv = [one["verdict"] for one in of(found, "kv")]
    assert kv == ["pass"] * 8 + ["not decided", "not decided"] + ["pass"] * 2


def test_output_scatter_linearity_and_half_value_layer_of_the_session(
    state: Path, tmp_path: Path
) -> None:
    found = imported(tmp_path)
    one_ma, two_ma = (
        [s.dose_ugy / mas_of(s) for s in SESSION if (s.kv, s.ma, s.al_mm) == (80.0, ma, 0.0)]
        for ma in (1.0, 2.0)
    )
    output = of(found, "output")
    assert [row["exposures"] for row in output] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert output[0]["found"] == pytest.approx(mean(one_ma) * 0.75**2)
    assert output[0]["uncertainty"] == pytest.approx(0.05 * mean(one_ma) * 0.75**2)

    oregon = of(found, "four shots")[0]
    assert oregon["found"] == pytest.approx((5.1 - 4.9) / 5.0)
    assert oregon["verdict"] == "pass"

    (linearity,) = of(found, "linearity")
    a, b = mean(one_ma), mean(two_ma)
    assert linearity["found"] == pytest.approx(abs(a - b) / (a + b))
    u = 2 * a * b / (a + b) ** 2 * sqrt(2 * (0.005 / sqrt(4)) ** 2)
    assert linearity["uncertainty"] == pytest.approx(u)
    assert (linearity["verdict"], linearity["limit"]) == ("pass", 0.1)

    *direct, series = of(found, "hvl")
    least_mm = 2.9 + (3.2 - 2.9) * 1.2 / 10  # at 81.2 kV between 80 and 90
    assert [row["found"] for row in direct] == [3.05] * 4
    assert direct[0]["limit"] == pytest.approx(least_mm)
    assert direct[0]["uncertainty"] == pytest.approx(0.122)
    assert {row["verdict"] for row in direct} == {"not decided"}  # 3.05 - 0.122 < 2.936 < 3.05
    half = mean(one_ma) / 2
    d2, d4 = (SESSION[n].dose_ugy / mas_of(SESSION[n]) for n in (10, 11))
    assert series["found"] == pytest.approx(2 + 2 * log(d2 / half) / log(d2 / d4))
    assert series["exposures"] == [1, 2, 3, 4, 11, 12]


def test_the_session_in_words_tells_instrument_calibration_and_pairs_first(
    state: Path, tmp_path: Path
) -> None:
    path = meter_file(tmp_path / "meter.csv")
    lines = run("meter", "import", str(path), *OPTIONS, code=1).stdout.splitlines()
    assert lines[0] == "meter.csv: 13 rows of X2 base, serial 213456"
    assert lines[1] == "calibration due 2026-03-01: valid"
    assert lines[2].startswith("its clock: 1 h 0 min 0 s ahead of the unit's; pairs lie within 0.")
    assert lines[3] == "12 of 13 rows paired: exposures 1-12"
    assert "9    kV    100 kV     112 kV       +12.0 ±2.2 %  ±10 %  undecided" in lines
    assert lines[-2].startswith("verdict: NOT DECIDED (")
    assert lines[-1] == "kept as import 1"
    assert max(map(len, lines)) <= 80


def test_an_overdue_calibration_is_told_at_once_and_fails_the_import(
    state: Path, tmp_path: Path
) -> None:
    """The same values pass on the last day, and are worth nothing on the next."""
    good = [
        word for name in ("kv", "time", "dose", "hvl") for word in ("--uncertainty", f"{name}=1")
    ]
    words = ("--map", "raysafe-like", "--shots", "1-8", *good)
    for due, state_is, code in (("2026-03-01", "valid", 0), ("2026-02-28", "past due", 1)):
        path = str(meter_file(tmp_path / "meter.csv", due=due))
        found = answer("meter", "import", path, *words, code=code, dry=due == "2026-03-01")
        assert (found["calibration"], found["verdict"]) == (state_is, "pass")
    shown = run("meter", "show", "1").stdout
    assert (
        shown.splitlines()[1] == "CALIBRATION PAST DUE since 2026-02-28: these values prove nothing"
    )
    assert "CALIBRATION PAST DUE" in run("exposures", "show", "1").stdout


# --- kept


def test_the_same_file_again_is_recognised_and_changes_nothing(state: Path, tmp_path: Path) -> None:
    first = imported(tmp_path)
    kept = (state / "instruments" / "imports.jsonl").read_bytes()
    (tmp_path / "meter.csv").rename(tmp_path / "renamed.csv")
    path = str(tmp_path / "renamed.csv")
    again = answer("meter", "import", path, *OPTIONS, code=1)
    assert (again["import"], again["new"], again["at"]) == (1, False, first["at"])
    assert (state / "instruments" / "imports.jsonl").read_bytes() == kept
    assert "this file is import 1 already" in run("meter", "import", path, *OPTIONS, code=1).stdout


def test_a_persons_decision_supersedes_and_the_earlier_import_stays(
    state: Path, tmp_path: Path
) -> None:
    imported(tmp_path)
    decided = imported(tmp_path, "--drop", "13", "--operator", "A. Meier")
    assert (decided["import"], decided["supersedes"], decided["operator"]) == (2, 1, "A. Meier")
    assert (decided["rows_left"], decided["decisions"]["drop"]) == ([], [13])
    listed = answer("meter", "list")["imports"]
    assert [one["import"] for one in listed] == [1, 2]
    assert "superseded" in run("meter", "list").stdout
    shown = answer("exposures", "show", "9")["independent"]
    assert [one["import"] for one in shown] == [2]


def test_an_exposure_shows_what_was_measured_beside_what_was_indicated(
    state: Path, tmp_path: Path
) -> None:
    imported(tmp_path)
    lines = run("exposures", "show", "1").stdout.splitlines()
    assert "  indicated    80 kV, 1 mA, 0.1004 mAs, 100.4 ms" in lines
    (measured,) = (line for line in lines if line.startswith("  independent"))
    assert measured == (
        "  independent  81.2 kV, 101.2 ms, 5 uGy, 3.05 mm Al HVL; by X2 base 213456 "
        "(import 1, row 6)"
    )
    (found,) = answer("exposures", "show", "1")["independent"]
    assert found["values"]["kv"] == 81.2
    assert found["instrument"]["serial"] == "213456"
    assert answer("exposures", "show", "9")["independent"][0]["row"] == row_of(9)


@pytest.mark.parametrize("spoil", ["a digit", "the seal", "a cut"])
def test_a_line_that_is_not_what_was_written_is_told_and_not_believed(
    state: Path, tmp_path: Path, spoil: str
) -> None:
    imported(tmp_path)
    imported(tmp_path, "--limits", "iec")
    path = state / "instruments" / "imports.jsonl"
    text = path.read_text()
    wrong = {
        "a digit": text.replace("112.0", "102.0", 1),
        "the seal": text.replace('{"seal": "', '{"seal": "0', 1),
        "a cut": text[:-40],
    }[spoil]
    assert wrong != text
    path.write_text(wrong)
    listed = answer("meter", "list")
    assert listed["damaged"]
    assert len(listed["imports"]) < 2
    again = imported(tmp_path, "--limits", "us-before-2006")
    assert again["new"]
    assert answer("meter", "list")["imports"][-1]["import"] == again["import"]


def test_a_dry_run_keeps_nothing(state: Path, tmp_path: Path) -> None:
    found = imported(tmp_path, "--dry-run")
    assert (found["import"], found["new"]) == (None, False)
    assert not (state / "instruments").exists()


# --- a person's options


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--pair", "5=x"), "write ROW=NUMBER, such as 5=4"),
        (("--pair", "6=1", "--pair", "6=2"), "row 6 was said before"),
        (("--pair", "6=1"), "say who decides"),
        (("--clock", "3600"), "say who decides"),
        (("--al", "6=900"), "0 to 200 mm"),
        (("--al", "99=1"), "no row 99"),
        (("--distance", "75"), "such as 75cm or 1m"),
        (("--uncertainty", "kvp=2"), "did you mean 'kv'"),
        (("--uncertainty", "kv=-2"), "above 0 and at most 100"),
        (("--due", "01.03.2026"), "YYYY-MM-DD"),
        (("--shots", "9-3"), "the first and the last number"),
        (("--shots", "90-93"), "there are 1 to 12"),
        (("--limits", "usa"), "did you mean 'us'"),
        (("--map", "nothing"), "known: multidos-live, radcal-like"),
    ],
)
def test_a_wrong_option_gets_its_form(
    state: Path, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    path = str(meter_file(tmp_path / "meter.csv"))
    result = run("meter", "import", path, *OPTIONS, *words, code=2)
    assert why in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_without_times_wants_to_be_told_which_exposures(state: Path, tmp_path: Path) -> None:
    doses = tmp_path / "doses.csv"
    doses.write_text("Model,MULTIDOS\nHeld at,Dose (Gy)\n2026-03-01,5e-6\n2026-03-01,5.1e-6\n")
    told = run("meter", "import", str(doses), "--map", "multidos-live", code=2).stderr
    assert "has no times; say which exposures its rows are: --shots A-B (there are 1 to 12)" in told
    found = answer(
        "meter", "import", str(doses), "--map", "multidos-live", "--shots", "1-2", code=0
    )
    assert [(p["row"], p["number"], p["why"]) for p in found["pairs"]] == [
        (3, 1, "order"), (4, 2, "order"),
    ]  # fmt: skip


def test_what_has_one_reason_is_told_once(state: Path, tmp_path: Path) -> None:
    path = str(meter_file(tmp_path / "meter.csv"))
    words = ("--map", "raysafe-like", "--clock", "0", "--operator", "A. Meier", "--dry-run")
    lines = run("meter", "import", path, *words, code=1).stdout.splitlines()
    assert "0 of 13 rows paired" in lines
    assert "  rows 6-18: no exposure lies in the time of the file" in lines


def test_a_bench_without_exposures_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = str(meter_file(tmp_path / "meter.csv"))
    told = run("meter", "import", path, "--map", "raysafe-like", code=2).stderr
    assert "this bench has made no exposure with a beam" in told
    assert run("meter", "list").stdout.startswith("Bench portable: nothing imported yet")


def test_maps_are_listed_and_printed_to_start_ones_own(tmp_path: Path) -> None:
    for group, name in (("meter", "raysafe-like"), ("scope", "tek-like")):
        assert name in answer(group, "maps")["maps"]
        own = tmp_path / f"{group}.toml"
        own.write_text(run(group, "maps", name).stdout)
        assert own.read_text().startswith("# Synthetic.")


# --- a trace of one of them


def test_a_trace_is_held_against_its_exposure_and_kept_beside_the_meter(
    state: Path, tmp_path: Path
) -> None:
    """Exposure 5: 80 kV, 2 mA; the trace has 80 kV and 99.5 ms by the definition."""
    imported(tmp_path)
    path = str(write_tek(tmp_path / "beam.csv", samples()))
    words = ("scope", "import", path, "--map", "tek-like", "--shot", "5", "--operator", "A. Meier")
    limits = ("--uncertainty", "kv=2", "--uncertainty", "time=0.5", "--uncertainty", "mas=2.5")
    found = answer(*words, *limits, "--model", "MSO and divider")
    kv, time, _ma, mas = found["findings"]
    assert kv["found"] == pytest.approx(0.0, abs=0.01)
    assert time["found"] == pytest.approx(100 * (99.5 - INDICATED_MS) / INDICATED_MS, abs=0.15)
    assert (kv["verdict"], time["verdict"]) == ("pass", "pass")
    assert mas["found"] == pytest.approx(100 * (0.1982 - 0.2008) / 0.2008, abs=0.2)
    assert found["trace"]["sync"]["to_75_pct_ms"] == pytest.approx(6.5, abs=0.11)
    assert (found["import"], found["kind"]) == (2, "scope")
    lines = run("exposures", "show", "5").stdout.splitlines()
    measured = [line for line in lines if line.startswith("  independent")]
    assert len(measured) == 2
    assert "80 kV, 2 mA, 0.198" in measured[1]
    assert "by MSO and divider (import 2, row 1)" in measured[1]


def test_a_sync_that_is_the_beam_puts_the_trace_on_the_units_clock(
    state: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    text = run("scope", "maps", "tek-like").stdout
    own.write_text(text.replace('means = "on_command"', 'means = "beam_on"'))
    path = str(write_tek(tmp_path / "beam.csv", samples()))
    found = answer("scope", "import", path, "--map", str(own), "--shot", "5", "--dry-run", code=1)
    delay_ms = found["trace"]["sync"]["to_75_pct_ms"]
    loaded = at(SECONDS[4]) + timedelta(milliseconds=delay_ms)
    assert found["trace"]["sync"]["loaded_at"] == loaded.isoformat()


def test_a_trace_of_nobodys_exposure_is_measured_and_not_kept(state: Path, tmp_path: Path) -> None:
    path = str(write_tek(tmp_path / "beam.csv", samples()))
    lines = run("scope", "import", path, "--map", "tek-like").stdout.splitlines()
    assert lines[-1] == "nothing kept: --shot NUMBER says which exposure it is of"
    assert any(line.startswith("kVp 80 kV, overshoot 0.0 %") for line in lines)
    assert not (state / "instruments").exists()
    words = ("scope", "import", path, "--map", "tek-like", "--shot", "5")
    assert "--shot needs --operator" in run(*words, code=2).stderr
    assert "known: 1 to 12" in run(*words[:-1], "77", "--dry-run", code=2).stderr


# --- pages, and what they cost


def test_pages_are_whole_and_show_no_text_of_a_file_as_markup(state: Path, tmp_path: Path) -> None:
    path = meter_file(tmp_path / "meter.csv")
    page = tmp_path / "report.html"
    hostile = ("--model", "<script>alert(1)</script>", "--out", str(page))
    run("meter", "import", str(path), *OPTIONS, *hostile, code=1)
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "NOT DECIDED" in text
    assert text.count("<svg") == 1
    assert "://" not in text
    run("meter", "show", "1", "--out", str(tmp_path / "again.html"))
    assert (tmp_path / "again.html").read_text() == text


@pytest.mark.parametrize("words", [("meter", "list"), ("scope", "--help")])
def test_a_look_imports_nothing_heavy(state: Path, words: tuple[str, ...]) -> None:
    heavy = ("pydantic", "numpy", "matplotlib", "rich")
    script = (
        f"import sys\nfrom rig.cli import main\ntry: main({list(words)!r})\n"
        f"except SystemExit: pass\nprint('HEAVY', [n for n in {heavy!r} if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"
