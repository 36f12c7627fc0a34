"""A look at a run's files tells what has changed in it, and only that."""

import numpy as np

from bye_core.records import Decision, Detection
from bye_core.runs import stamps
from tests.runs.made_rows import make_rows, make_run


def test_each_part_changes_its_own_stamp(tmp_path):
    run = make_run(tmp_path / "run", 4, scored=4)
    run.table()
    before = stamps(run.path)
    run.table()
    run.rows(run.samples()[0].id)
    assert stamps(run.path) == before

    run.decide([Decision("s1", "reject")])
    decided = stamps(run.path)
    assert decided.decisions != before.decisions
    assert (decided.scan, decided.detection) == (before.scan, before.detection)

    ids = tuple(sample.id for sample in run.samples())
    zeros = np.zeros(len(ids))
    run.save_detection(Detection("bye", {}, "no_evidence", ids, zeros, zeros > 0, zeros, (), ()))
    detected = stamps(run.path)
    assert detected.detection != decided.detection
    assert (detected.scan, detected.decisions) == (decided.scan, decided.decisions)


def test_a_scan_that_goes_on_changes_the_scans_stamp(tmp_path):
    run = make_run(tmp_path / "run", 8, scored=4)
    before = stamps(run.path).scan
    with run.writing():
        run.append([make_rows(5)])
        assert stamps(run.path).scan != before
    assert stamps(run.path).scan != before
