"""The readers keep their promises on random data sets of every format, layout and encoding."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.random_sets import make_set
from tests.data.reader_properties import check_set, emptied

COUNT = 600  # data sets, always the same; to try more, run `python -m tests.data.reader_properties --count 100000`


def test_every_reader_on_random_data_sets(tmp_path: Path) -> None:
    outcomes = Counter[str]()

    @given(random=st.randoms(use_true_random=False))
    @settings(max_examples=COUNT, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def try_sets(random: Random) -> None:
        with emptied(tmp_path):
            outcomes[check_set(make_set(random, tmp_path / "set"), random)] += 1

    try_sets()
    assert outcomes["exported"] > COUNT / 4, outcomes
