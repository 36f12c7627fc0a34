"""An open run is read once, seen as it is on disk, and kept once."""

from dataclasses import replace

from bye_core import pipeline
from bye_core.records import Decision
from bye_core.runs import Run, edit_settings
from bye_core.ui.open_run import open_run
from tests.made_run import make_run


def test_the_same_run_until_something_changes(run_path):
    opened = open_run(run_path)
    assert open_run(run_path) is opened
    assert opened.decisions() == {}
    Run.open(run_path).decide([Decision("s00003", "reject")])
    assert open_run(run_path) is opened
    assert opened.decisions()["s00003"].choice == "reject"
    assert opened.choices().sum() == 2

    pipeline.detect_run(run_path, "bye", cutoff=1.0)
    other = open_run(run_path)
    assert other.stamp != opened.stamp
    assert other.run is opened.run
    assert other.table is opened.table
    assert other.detection.cutoff == 1.0


def test_a_scan_that_goes_on_is_seen_and_read_by_the_same_run(home):
    path = make_run(home / "made", samples=20, scanned=8)
    before = open_run(path)
    assert len(before.table.ids) == 8
    run = Run.open(path)
    template = run.rows("s00000")
    with run.writing():
        run.append([replace(template, id="s00012")])
    after = open_run(path)
    assert after is not before
    assert after.run is before.run
    assert after.table.ids == (*before.table.ids, "s00012")
    assert open_run(path).positions.tolist() == [*range(8), 12]


def test_another_run_in_the_same_place_is_another_run(home):
    path = make_run(home / "made", samples=10)
    before = open_run(path)
    path.rename(home / "old")
    make_run(home / "more", samples=12).rename(path)
    edit_settings(path, created="2001-01-01T00:00:00+00:00")
    after = open_run(path)
    assert after.run is not before.run
    assert len(after.samples) == 12
