"""Tables for people: whole names on a narrow terminal, and numbers without an exponent."""

from __future__ import annotations

import os

import pytest

from rig import answers
from rig.answers import answer_line, answer_table, plain

NAMES = ["dental-d-0712", "ge-maxiray-100", "philips-ro-0306"]
HEADINGS = ("name", "anode", "heat kJ", "large kW", "small kW", "kV max", "facts from documents")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(answers, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    return monkeypatch


def framed(capsys: pytest.CaptureFixture[str], *rows: tuple[str, ...]) -> list[str]:
    answer_table(HEADINGS[: len(rows[0])], rows)
    return capsys.readouterr().out.splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]


def test_names_are_whole_on_80_columns_and_headings_give_way_between_words(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = framed(
        capsys, *((name, "stationary", "103.7", "0.49", "22.5", "150", "8 of 11") for name in NAMES)
    )
    assert max(map(len, lines)) <= 80
    assert [cells(line) for line in lines if line.startswith("│")] == [
        [name, "stationary", "103.7", "0.49", "22.5", "150", "8 of 11"] for name in NAMES
    ]
    headings = [cells(line) for line in lines if line.startswith("┃")]
    told = [" ".join(filter(None, column)) for column in zip(*headings, strict=True)]
    assert told == list(HEADINGS)


def test_nothing_is_cut_however_narrow_the_terminal_is(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = ("a-name-of-a-tube", "what-has-no-space-in-it-at-all", "two words of more")
    for columns in (24, 30, 40, 60, 100):
        terminal.setenv("COLUMNS", str(columns))
        lines = framed(capsys, row)
        assert max(map(len, lines)) <= columns
        below = [cells(line) for line in lines if line.startswith("│")]
        told = ["".join(column) for column in zip(*below, strict=True)]
        assert [text.replace(" ", "") for text in told] == [text.replace(" ", "") for text in row]


def test_before_a_word_is_folded_the_frame_gives_its_spaces(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    headings = ("number", "exposure", "when", "exam", "end", "dose", "image", "looked at by")
    when = "2026-11-23 02:07:32Z"
    row = ("1", "x-717762cc70cb", when, "TEST", "complete", "4.945 mAs", "saved", "")
    answer_table(headings, [row])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("│x-717762cc70cb│" in line for line in lines)
    terminal.setenv("COLUMNS", "90")
    answer_table(headings, [row])
    assert "│ x-717762cc70cb │" in capsys.readouterr().out


def test_a_first_column_of_sentences_gives_way_too() -> None:
    sentence = "a sentence of so many words that it would take all the room there is"
    assert answers._widths([[sentence], ["short"]], 40) == [35, 5]
    assert answers._widths([["name"], [sentence]], 40) == [4, 36]
    assert answers._widths([["name"], ["short"]], 40) == [4, 5]
    assert answers._widths([["twenty characters - "], ["wide" * 9]], 40) == [20, 20]
    assert answers._widths([["n" * 20], ["so many words of it a"]], 40) == [20, 20]
    assert answers._widths([["n n n n n n n n n n n"], ["so many words of it a"]], 40) == [20, 20]
    assert answers._widths([["n" * 19], ["so many words of it and more"]], 40) == [19, 21]
    assert answers._widths([["a name of more than the half - "], ["so many words of it"]], 40) == [
        21, 19,
    ]  # fmt: skip


def test_a_heading_in_brackets_is_no_markup(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_table(("[aec]", "[/x]"), [("a", "b")])
    assert "[aec]" in capsys.readouterr().out


def test_elsewhere_columns_are_plain_and_a_line_stays_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer_table(("name", "what"), [("a", "x " * 60 + "y")], title="T")
    answer_line("word " * 40)
    assert capsys.readouterr().out.splitlines() == [
        "T", "name  what", "a     " + "x " * 60 + "y", "word " * 40,
    ]  # fmt: skip


def test_on_a_terminal_a_line_is_wrapped_between_words(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, 24)))
    answer_line("word " * 40)
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) for line in lines] == [79, 76, 46]
    assert set(" ".join(lines).split()) == {"word"}


@pytest.mark.parametrize(
    ("value", "digits_count", "text"),
    [
        (1250.0, 3, "1250"), (1.25e7, 4, "12500000"), (222.0, 4, "222"), (103.7, 4, "103.7"),
        (0.49, 4, "0.49"), (1.666e-5, 3, "0.0000167"), (99.96, 3, "100"),
        (1498.4, 3, "1498"), (100.4, 3, "100"),
        (0.0, 3, "0"), (-0.0, 3, "0"), (-1250.4, 3, "-1250"), (9.79, 3, "9.79"),
    ],
)  # fmt: skip
def test_a_number_has_its_digits_and_never_an_exponent(
    value: float, digits_count: int, text: str
) -> None:
    assert plain(value, digits_count) == text
