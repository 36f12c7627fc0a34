"""An open run is read once, seen as it is on disk, and kept once."""

from dataclasses import replace

from bye_core import pipeline
from bye_core.records import Decision
from bye_core.runs import Run
from bye_core.ui.desk import open_desk
from bye_core.ui.open_run import open_view
from tests.made_run import make_run


def test_the_same_desk_until_something_changes(run_path):
    desk = open_desk(run_path)
    assert open_desk(run_path) is desk
    assert desk.decisions() == {}
    Run.open(run_path).decide([Decision("s00003", "reject")])
    assert open_desk(run_path) is desk
    assert desk.decisions()["s00003"].choice == "reject"
    assert desk.choices().sum() == 2

    pipeline.detect_run(run_path, "bye", cutoff=1.0)
    other = open_desk(run_path)
    assert other.stamp != desk.stamp
    assert other.view is desk.view
    assert other.detection.cutoff == 1.0


def test_a_scan_that_goes_on_is_seen_and_read_by_the_same_run(home):
    path = make_run(home / "made", samples=20, scanned=8)
    before = open_view(path)
    assert len(before.table.ids) == 8
    run = Run.open(path)
    template = run.rows("s00000")
    with run.writing():
        run.append([replace(template, id="s00012")])
    after = open_view(path)
    assert after is not before
    assert after.run is before.run
    assert after.table.ids == (*before.table.ids, "s00012")
    assert open_desk(path).positions.tolist() == [*range(8), 12]


def test_another_run_in_the_same_place_is_another_run(home):
    path = make_run(home / "made", samples=10)
    before = open_desk(path)
    path.rename(home / "old")
    make_run(home / "more", samples=12).rename(path)
    settings = path / "run.json"
    settings.write_text(settings.read_text().replace(Run.open(path).settings.created, "2001-01-01T00:00:00+00:00"))
    after = open_desk(path)
    assert after.view.run is not before.view.run
    assert len(after.samples) == 12
