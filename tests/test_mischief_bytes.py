"""Every byte of one exposure's wire traffic, lost, with a bit flipped, or with one before it.

There are some 88 000 such attacks; a seed chooses which of them are tried, the same ones each
time. DXRIG_MISCHIEF_BYTES=N tries N for each line instead, more than there are for all.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from firmware_py.decide import account, beam
from tests.mischief_story import Story, attacks, broken, mischief, summary, traffic

TRIED_COUNT = int(os.environ.get("DXRIG_MISCHIEF_BYTES", "64"))
GROUPS_COUNT = 8  # so that one test takes seconds


def chosen(device: str) -> list[dict[str, Any]]:
    every = attacks(device)
    random.Random(f"bytes of {device}").shuffle(every)
    return every[:TRIED_COUNT]


def problems_of(device: str, tried: list[dict[str, Any]]) -> Iterator[str]:
    for attack in tried:
        story = Story(mischief(device, **attack))
        seen = story.run()
        chunk = traffic(device)[attack["toward"]][attack["chunk"]]
        for problem in broken(story, seen):
            yield f"{attack} of {chunk.hex(' ')}: {problem}; {summary(story, seen)}"
        if len(seen.beams) > 1:
            yield f"{attack} of {chunk.hex(' ')}: {len(seen.beams)} beams"
        if story.counts[device].get(attack["once"]) != 1:
            yield f"{attack} of {chunk.hex(' ')}: was not done"


@pytest.mark.req("SR-44", "F56", "F59")
@pytest.mark.parametrize("group", range(GROUPS_COUNT))
@pytest.mark.parametrize("device", ["generator", "room"])
def test_a_single_wrong_byte_is_rejected_or_a_fault_and_never_a_wrong_beam(
    device: str, group: int
) -> None:
    tried = chosen(device)[group::GROUPS_COUNT]
    assert tried
    assert list(problems_of(device, tried)) == []


@pytest.mark.parametrize("device", ["generator", "room"])
def test_the_attacks_are_every_byte_and_every_bit_of_both_directions(device: str) -> None:
    found = Counter((a["toward"], a["chunk"], a["byte"]) for a in attacks(device))
    bytes_there = {
        (toward, number, byte)
        for toward, chunks in traffic(device).items()
        for number, chunk in enumerate(chunks)
        for byte in range(len(chunk))
    }
    assert set(found) == bytes_there
    assert set(found.values()) == {10}  # eight bits, lost, one before it


def test_the_traffic_that_is_attacked_is_that_of_a_whole_exposure() -> None:
    asked, answered = traffic("generator")["device"], traffic("generator")["unit"]
    assert asked.count(b"\x02ENBL1\r") == 1
    assert asked.count(b"\x02ENBL0\r") >= 1
    assert {b"\x02OK\r", b"\x021\r", b"\x020\r", b"\x02VP0800\r"} < set(answered)
    written = {chunk[7:12].hex() for chunk in traffic("room")["device"]}
    assert {"0502030002", "0500030000", "050004ff00", "0500040000"} < written  # enable, contactor


LOST_BYTE = {"once": "lose", "toward": "unit", "chunk": 0, "byte": 0}


def test_a_property_that_a_planted_bug_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(problems_of("generator", [LOST_BYTE])) == []
    monkeypatch.setattr(account, "_most_mas", lambda memory: 0.1)
    monkeypatch.setattr(beam, "indicated_mas", lambda beam, end_us: 0.1)
    found = list(problems_of("generator", [LOST_BYTE]))
    told = f"{LOST_BYTE} of 02 43 4c 52 0d: bound 0.1000 mAs, truth 0.25"
    assert any(text.startswith(told) for text in found)


def test_an_attack_that_hits_nothing_is_found() -> None:
    (found,) = problems_of("generator", [LOST_BYTE | {"byte": 5}])
    assert found.endswith("of 02 43 4c 52 0d: was not done")
