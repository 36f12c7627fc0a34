"""Short forms of the tools that are run by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bye_core import files
from tests.fuzz import bit_flips, kills, readers


def test_readers_on_mutated_files() -> None:
    outcomes = readers.fuzz(1500, seed=int(os.environ.get("BYE_FUZZ_SEED", "1")))
    assert {name.split()[1] for name in outcomes} == {"read", "refused"}


def test_no_flipped_bit_of_a_run_is_silent(tmp_path: Path) -> None:
    outcomes, silent = bit_flips.flips(tmp_path, count=24, seed=1, samples=8)
    assert silent == []
    assert sum(outcomes.values()) == 24


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("stage", ["scan", "decide", "detect", "export"])
def test_nothing_is_lost_when_a_stage_is_killed(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "JUST_CREATED", 0.0)
    assert kills.kill(stage, 2, seed=1) > 0
