"""What rows may lack: the hidden state and the answers' likelihoods, which earlier scans did not read."""

import json
import shutil
from dataclasses import replace

import numpy as np

from bye_core.records import Grid
from bye_core.runs import Run
from bye_core.runs.payload import _facts, decode, encode
from tests.runs.made_rows import make_rows, make_run

BEFORE = ("entropy_before", "peak_before", "mass_before")
NUMBERS = ("nll", "nll_before", "answer_tokens", "worst_before", "certain_before", "unlikely_start", "unlikely_end")
NAMES = ("hidden", *NUMBERS, *BEFORE)


def full(number):
    hidden = np.arange(5, dtype=np.float16) + number
    answer = dict(zip(NUMBERS, (0.5, 2.5, 3.0, 4.5, 0.25, 2.0, 8.0), strict=True))
    rows = make_rows(number)
    before = {f"{name}_before": getattr(rows, name).astype(np.float16) for name in ("entropy", "peak", "mass")}
    return replace(rows, hidden=hidden, **before, **{name: value + number for name, value in answer.items()})


def test_payloads_hold_them_or_are_as_before():
    again = decode(encode(full(3)))
    np.testing.assert_array_equal(again.hidden, full(3).hidden)
    assert again.hidden.dtype == np.float16
    assert [getattr(again, name) for name in NUMBERS] == [3.5, 5.5, 6.0, 7.5, 3.25, 5.0, 11.0]
    assert [getattr(decode(encode(make_rows(3))), name) for name in NAMES] == [None] * len(NAMES)
    assert b"nll" not in encode(make_rows(3))


def test_a_run_without_them_has_none_in_its_table(tmp_path):
    table = make_run(tmp_path / "run", 4, 4).table()
    assert [getattr(table, name) for name in NAMES] == [None] * len(NAMES)


def test_a_table_holds_what_there_is_and_nan_elsewhere(tmp_path):
    """Also where only later samples have it, and whether it is read from shards or from the derived file."""
    run = make_run(tmp_path / "run", 6, 2)
    assert run.table().hidden is None
    with run.writing():
        run.append([full(2), replace(full(3), nll=None, nll_before=None)])
    run.table()
    with run.writing():
        run.append([full(4), make_rows(5)])
    grown, fresh = run.table(), Run.open(run.path).table()
    shutil.rmtree(run.path / "statistics")
    built = Run.open(run.path).table()
    nothing = np.full(5, np.nan, np.float16)
    states = np.stack([nothing, nothing, full(2).hidden, full(3).hidden, full(4).hidden, nothing])
    for table in (grown, fresh, built):
        assert table.hidden.dtype == np.float16
        np.testing.assert_array_equal(table.hidden, states)
        np.testing.assert_array_equal(table.nll, [np.nan, np.nan, 2.5, np.nan, 4.5, np.nan])
        np.testing.assert_array_equal(table.nll_before, [np.nan, np.nan, 4.5, np.nan, 6.5, np.nan])
        assert table.entropy_before.dtype == np.float16
        for name in BEFORE:
            assert np.isnan(getattr(table, name)[[0, 1, 5]]).all()
            np.testing.assert_array_equal(getattr(table, name)[4], getattr(full(4), name))
        np.testing.assert_array_equal(table.entropy, np.stack([make_rows(n).entropy for n in range(6)]))


def test_grids_hold_what_differs_from_the_defaults():
    """A run that needs none of the later fields is written as before, so that earlier versions can read it."""
    plain = make_rows(3)
    assert all(len(values) == 5 for values in _facts(encode(plain))["grids"])
    tiled = replace(plain, grids=(Grid(0, 1, 2, 0, overview=True), Grid(0, 2, 2, 2, row_stride=3)))
    assert decode(encode(tiled)).grids == tiled.grids


def test_the_table_holds_the_number_of_image_tokens_of_each_sample(tmp_path):
    """Also in a run whose cached statistics were written by a version that did not store it."""
    run = make_run(tmp_path / "run", 3, 3)
    assert run.table().image_tokens.tolist() == [4, 5, 6]
    for facts in (run.path / "statistics").glob("*/facts.json"):
        record = json.loads(facts.read_text())
        del record["widths"]["image_tokens"]
        facts.write_text(json.dumps(record))
    assert Run.open(run.path).table().image_tokens.tolist() == [4, 5, 6]
