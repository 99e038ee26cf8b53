"""Data sheets of tubes: what stands in them is told with its mark, and nothing else is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.tube_data import ABOUT, FACTS, MARKS, TubeError, parsed, shipped_tubes, tube_sheet

GOOD = """[tube]
maker = "A"
model = "B"
anode = "rotating"
document = "C"

[facts]
large_mm = { value = 1.2, mark = "stated", source = "sheet" }
large_w = { value = 32000, mark = "memory", source = "somebody" }
"""
CHOSEN = " = { value = 1e5, mark = 'chosen', source = 's' }"
# qc-and-physics.md 2.2, as its table has them: (tube, fact, value, mark).
TABLE = [
    ("ge-maxiray-100", "anode_heat_j", 260_000.0, "stated"),
    ("ge-maxiray-100", "anode_cooling_w", 925.9, "computed"),
    ("ge-maxiray-100", "housing_heat_j", 1_110_000.0, "stated"),
    ("ge-maxiray-100", "housing_cooling_w", 740.0, "stated"),
    ("varian-a-192", "anode_heat_j", 222_000.0, "stated"),
    ("varian-a-192", "large_w", 100_000.0, "stated"),
    ("varian-a-192", "small_w", 40_000.0, "stated"),
    ("varian-a-292", "anode_heat_j", 300_000.0, "stated"),
    ("toshiba-e7239", "anode_heat_j", 103_700.0, "memory"),
    ("toshiba-e7239", "large_w", 47_000.0, "stated"),
    ("toshiba-e7252", "large_w", 75_000.0, "stated"),
    ("toshiba-e7255", "large_w", 102_000.0, "stated"),
    ("toshiba-e7884", "large_60hz_w", 54_000.0, "stated"),
    ("toshiba-e7894", "small_w", 14_000.0, "stated"),
    ("philips-ro-0306", "anode_cooling_w", 870.0, "stated"),
    ("philips-ro-0306", "continuous_w", 300.0, "stated"),
    ("dental-d-0712", "anode_heat_j", 4_300.0, "stated"),
    ("dental-d-0712", "large_w", 490.0, "computed"),
    ("vj-ixs120", "large_w", 120.0, "stated"),
    ("sim-rad32", "large_w", 32_000.0, "chosen"),
]


@pytest.mark.parametrize("name", shipped_tubes())
def test_every_sheet_that_ships_is_good(name: str) -> None:
    sheet = tube_sheet(name)
    assert sheet.facts
    assert set(sheet.facts) <= set(FACTS)


def test_rotating_and_stationary_anodes_ship() -> None:
    sheets = [tube_sheet(name) for name in shipped_tubes()]
    anodes = [sheet.anode for sheet in sheets]
    assert (len(sheets), anodes.count("rotating"), anodes.count("stationary")) == (13, 10, 3)


@pytest.mark.parametrize(("name", "fact", "value", "mark"), TABLE)
def test_a_fact_is_that_of_the_reference(name: str, fact: str, value: float, mark: str) -> None:
    assert tube_sheet(name).facts[fact].value == value
    assert tube_sheet(name).facts[fact].mark == mark


def test_heat_units_and_joules_of_a_sheet_are_in_the_ratio_of_the_reference() -> None:
    sheet = tube_sheet("ge-maxiray-100")
    assert sheet["anode_heat_j"] * 1.35 == pytest.approx(350_000, rel=0.005)
    assert sheet["anode_cooling_w"] * 1.35 * 60 == pytest.approx(75_000, rel=0.0001)
    assert sheet["housing_cooling_w"] * 1.35 * 60 == pytest.approx(60_000, rel=0.002)


def test_only_what_a_document_gives_counts_as_verified() -> None:
    marks = {
        fact.mark: fact.verified for n in shipped_tubes() for fact in tube_sheet(n).facts.values()
    }
    assert marks == {"stated": True, "computed": True, "memory": False, "chosen": False}


@pytest.mark.parametrize("name", ["sim-rad32", "sim-supply160"])
def test_of_a_tube_like_no_product_nothing_counts_as_verified(name: str) -> None:
    assert not any(fact.verified for fact in tube_sheet(name).facts.values())


def test_what_a_sheet_does_not_have_is_told_with_what_it_would_be() -> None:
    sheet = tube_sheet("toshiba-e7884")
    assert sheet.get("anode_heat_j") is None
    assert "anode_heat_j" not in sheet
    with pytest.raises(TubeError) as told:
        sheet["anode_heat_j"]
    assert str(told.value) == "toshiba-e7884.toml: has no anode_heat_j (heat that the anode stores)"


def test_an_unknown_tube_is_told_with_the_nearest() -> None:
    with pytest.raises(TubeError, match=r"^no tube 'varian-a-19'; did you mean varian-a-192\?$"):
        tube_sheet("varian-a-19")


def test_a_file_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    sheet = tube_sheet(str(path))
    assert (sheet.name, sheet["large_w"], sheet.facts["large_w"].verified) == (
        "mine",
        32_000.0,
        False,
    )


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(TubeError, match=r"no\.toml: can't be read: no such file or directory"):
        tube_sheet(str(tmp_path / "no.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(TubeError, match=r"bytes\.toml: can't be read: not utf-8 text"):
        tube_sheet(str(tmp_path / "bytes.toml"))


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("large_w = {", "large_kw = {", "t.toml: unknown fact large_kw; did you mean large_w?"),
        ("32000", "320000", "t.toml: large_w.value: 320000 is outside 1 to 200000"),
        ("32000", "-1", "t.toml: large_w.value: -1 is outside 1 to 200000"),
        ("32000", "nan", "t.toml: large_w.value: nan is outside 1 to 200000"),
        ("32000", "true", "t.toml: large_w.value: expected a number, got True"),
        ("32000", '"32 kW"', "t.toml: large_w.value: expected a number, got '32 kW'"),
        ('"memory"', '"memorie"', "t.toml: large_w.mark: 'memorie'; did you mean memory?"),
        ('"memory"', "3", "t.toml: large_w.mark: 3; there are stated, computed, memory, chosen"),
        ('"somebody"', '" "', "t.toml: large_w.source: expected a text in \"quotes\", got ' '"),
        (', source = "somebody"', "",
         't.toml: large_w.source: expected a text in "quotes", got None'),
        ("value = 32000,", "value = 32000, unit = 1,",
         "t.toml: large_w.unit: unknown; there are value, mark, source"),
        ('{ value = 32000, mark = "memory", source = "somebody" }', "32000",
         't.toml: large_w: expected { value = ..., mark = "...", source = "..." }, got 32000'),
        ('"rotating"', '"rotatin"', "t.toml: tube.anode: 'rotatin'; did you mean rotating?"),
        ('maker = "A"\n', "", 't.toml: tube.maker: expected a text in "quotes", got None'),
        ('maker = "A"', 'maker = "A"\nmaler = "B"',
         "t.toml: unknown key tube.maler; did you mean maker?"),
        ("[facts]", "[fact]", "t.toml: [facts] is missing\n"
         "t.toml: unknown table [fact]; did you mean facts?"),
        ("large_w = {", "small_w = { value = 4e4, mark = 'chosen', source = 's' }\nlarge_w = {",
         "t.toml: small_w is above large_w"),
        ("large_w = {", f"housing_heat_j{CHOSEN}\nlarge_w = {{",
         "t.toml: housing_cooling_w: missing beside housing_heat_j"),
        ("large_w = {", f"anode_heat_j{CHOSEN}\nlarge_w = {{",
         "t.toml: anode_cooling_w, anode_cooling_order: missing beside anode_heat_j"),
        ("large_mm =", "small_mm =", "t.toml: large_mm: missing beside large_w"),
        ("large_w = {",
         "anode_cooling_order = { value = 1.5, mark = 'chosen', source = 's' }\nlarge_w = {",
         "t.toml: anode_cooling_order.value: 1.5 is not 1 or 2"),
    ],
)  # fmt: skip
def test_a_wrong_sheet_is_refused_with_file_field_and_what_would_do(
    was: str, becomes: str, told: str
) -> None:
    assert GOOD.count(was) == 1
    with pytest.raises(TubeError) as error:
        parsed(GOOD.replace(was, becomes), "t")
    assert str(error.value) == told


def test_what_is_no_toml_is_told() -> None:
    with pytest.raises(TubeError, match=r"^t\.toml: not valid TOML: "):
        parsed(GOOD.replace("= 1.2", "= "), "t")


def test_every_mistake_is_told_at_once() -> None:
    text = GOOD.replace("1.2", "99").replace("32000", "0")
    with pytest.raises(TubeError) as error:
        parsed(text, "t")
    assert str(error.value).splitlines() == [
        "t.toml: large_mm.value: 99 is outside 0.01 to 10",
        "t.toml: large_w.value: 0 is outside 1 to 200000",
    ]


def test_the_words_of_a_sheet_are_those_of_its_schema() -> None:
    assert (ABOUT, MARKS) == (
        ("maker", "model", "anode", "document"),
        ("stated", "computed", "memory", "chosen"),
    )
