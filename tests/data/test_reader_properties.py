"""The readers keep their promises on random data sets of every format, layout and encoding."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

from tests.data.random_sets import make_set
from tests.data.reader_properties import check_set, emptied

COUNT = 600  # data sets, always the same; to try more, run `python -m tests.data.reader_properties --count 100000`


def test_every_reader_on_random_data_sets(tmp_path: Path) -> None:
    outcomes = Counter[str]()
    for seed in range(COUNT):
        random = Random(seed)
        with emptied(tmp_path):
            try:
                outcomes[check_set(make_set(random, tmp_path / "set"), random)] += 1
            except Exception as error:
                raise AssertionError(f"the data set of seed {seed}") from error
    assert outcomes["exported"] > COUNT / 4, outcomes
