"""How much visitors of a public host may keep, and when it is deleted."""

import os
import shutil
import time

import pytest

from bye_core.ui import demo_run
from bye_core.ui.shared import cleaning, data_sets, limits, space, workspace_jobs
from bye_core.ui.shared.cleaning import clean_up, is_untouched
from bye_core.ui.shared.limits import BadLimit
from bye_core.ui.shared.space import HostFull, ManyVisitors, VisitorFull, check_space, folder_size
from bye_core.ui.workspace import new_token, workspace_of
from tests.waiting import until

DAY = 86400


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A public host with room for 100 kB of each visitor and 300 kB of all; its demo run is small."""
    monkeypatch.setenv("BYE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BYE_HOSTED", "1")
    monkeypatch.setenv("BYE_LIMIT_VISITOR_DISK", "100000")
    monkeypatch.setenv("BYE_LIMIT_DISK", "300000")
    monkeypatch.setattr(cleaning, "get_upload_folder", lambda: str(tmp_path / "uploads"))
    demo = tmp_path / "shipped"
    (demo / "run").mkdir(parents=True)
    shutil.copyfile(demo_run.DEMO / "run/run.json", demo / "run/run.json")
    monkeypatch.setattr(demo_run, "DEMO", demo)
    space.forget_sizes()
    space._arrivals.clear()
    return tmp_path


def visitor(size=0, age=0.0):
    """A visitor who looked at the demo, has a file of `size` bytes if that is not 0, and was here `age` seconds ago."""
    workspace = workspace_of(new_token())
    demo_run.open_demo(workspace)
    if size:
        (workspace.data / "mine").mkdir(parents=True)
        (workspace.data / "mine/file").write_bytes(b"x" * size)
    os.utime(workspace.root, (time.time() - age,) * 2)
    return workspace


def test_a_visitor_with_too_many_files_writes_no_more(host):
    workspace = visitor(150_000)
    assert folder_size(workspace.root) >= 150_000
    space.forget_sizes()
    upload = host / "set.zip"
    upload.write_bytes(b"PK")
    for writes in (
        lambda: check_space(workspace),
        lambda: workspace_jobs.start_job(workspace, "one", "scan", []),
        lambda: list(data_sets.upload(workspace, upload, "set.zip")),
        lambda: data_sets.remember(workspace, data_sets.Choice("a/b")),
    ):
        with pytest.raises(VisitorFull, match="at most 0 MB"):
            writes()
    check_space(visitor())


def test_a_full_host_takes_no_new_visitors_until_it_is_cleaned(host):
    for _ in range(4):
        visitor(90_000, age=3600)
        space.forget_sizes()
    with pytest.raises(HostFull):
        visitor()
    clean_up()
    assert folder_size(space.visitors_folder()) < 300_000
    visitor()


def test_forty_visitors_with_random_tokens_leave_nothing(host, monkeypatch):
    for _ in range(40):
        visitor(age=2 * 3600)
    kept = visitor(age=2 * 3600)
    (kept.runs / "demo/decisions.jsonl").write_text("{}\n")
    clean_up()
    assert space.visitor_folders() == [kept.root]
    clean_up(time.time() + 8 * DAY)
    assert space.visitor_folders() == []
    assert not list((host / "home").rglob("run.json"))


def test_new_visitors_a_minute_are_bounded(host, monkeypatch):
    monkeypatch.setenv("BYE_LIMIT_VISITORS", "3")
    first = visitor()
    visitor()
    visitor()
    with pytest.raises(ManyVisitors):
        visitor()
    check_space(first)  # who is here already may go on


def test_the_disk_goes_first_to_those_who_are_here_and_have_decided(host):
    here, longest, later, looked = visitor(90_000), visitor(90_000, 5000), visitor(90_000, 3000), visitor(0, 700)
    space.forget_sizes()
    (later.data / "mine/more").write_bytes(b"x" * 90_000)
    os.utime(later.root, (time.time() - 3000,) * 2)
    clean_up()
    assert set(space.visitor_folders()) == {here.root, later.root}
    assert not longest.root.exists()
    assert not looked.root.exists()


def test_a_page_that_is_open_keeps_its_files(host):
    workspace = visitor(age=2 * 3600)
    workspace_of(workspace.root.name)
    clean_up()
    assert workspace.root.exists()


def test_files_of_running_jobs_stay_and_jobs_without_space_stop(host, monkeypatch):
    workspace, job = visitor(150_000, age=90 * DAY), Running()
    monkeypatch.setattr(cleaning.jobs, "running", lambda root: root == workspace.jobs)
    monkeypatch.setattr(cleaning.jobs, "list_jobs", lambda root: [job] if root == workspace.jobs else [])
    clean_up()
    assert workspace.root.exists()
    cleaning.stop_jobs_without_space()
    assert job.stopped
    shutil.rmtree(workspace.data)
    job.stopped = False
    cleaning.stop_jobs_without_space()
    assert not job.stopped


class Running:
    state, stopped = "running", False

    def stop(self):
        self.stopped = True


def test_what_counts_as_untouched(host):
    workspace = visitor()
    assert is_untouched(workspace.root)
    data_sets.remember(workspace, data_sets.Choice("demo"))
    for example in demo_run.EXAMPLES:
        demo_run.provide(workspace, example.name)
        assert is_untouched(workspace.root)
        decisions = workspace.run_path(example.name) / "decisions.jsonl"
        decisions.write_text("{}")
        assert not is_untouched(workspace.root)
        decisions.unlink()
    assert is_untouched(workspace.root)
    (workspace.root / "exports/mine").mkdir(parents=True)
    assert not is_untouched(workspace.root)


def test_old_uploads_are_deleted_and_new_ones_stay(host):
    for name, age in (("old/a/set.zip", 7200), ("new/set.zip", 60)):
        path = host / "uploads" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        for part in (path, path.parent, path.parent.parent):
            os.utime(part, (time.time() - age,) * 2)
    clean_up()
    assert [path.name for path in (host / "uploads").rglob("*")] == ["new", "set.zip"]


def test_cleaning_runs_on_a_public_host_only(host, monkeypatch):
    gone = visitor(age=2 * 3600)
    cleaned = cleaning.start_cleaning()
    until(lambda: not gone.root.exists())
    cleaned.set()
    monkeypatch.setenv("BYE_HOSTED", "0")
    assert limits.limits().disk == 300_000  # a limit that is set counts everywhere
    monkeypatch.setattr(cleaning, "clean_up", lambda: pytest.fail("cleaned"))
    cleaning.start_cleaning().set()


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "²"])
def test_a_limit_is_a_number(value, monkeypatch):
    monkeypatch.setenv("BYE_LIMIT_SAMPLES", value)
    with pytest.raises(BadLimit, match="BYE_LIMIT_SAMPLES"):
        limits.limits()


def test_the_shipped_demo_can_be_scanned_on_a_public_host():
    lines = (demo_run.DEMO / "run/samples.jsonl").read_bytes().count(b"\n")
    assert 1000 < lines <= limits.PUBLIC.samples
