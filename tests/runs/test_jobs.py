"""Background jobs: real processes of a stand-in for the command line, stopped, killed, lost and found again."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import bye_core
from bye_core.errors import SettingError
from bye_core.runs import jobs
from bye_core.runs.jobs import launch, process, progress_log, record
from bye_core.runs.jobs import supervisor as supervise
from tests.waiting import PATIENCE, until

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def ended(job):
    return until(lambda: job.state != jobs.RUNNING and job.state)


def gone(*pids):
    return all(not process.birth(pid) for pid in pids)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder of the jobs; `python -m bye_core` is the stand-in in the processes started from here."""
    (tmp_path / "cwd" / "bye_core").mkdir(parents=True)
    shutil.copy(HERE / "stand_in.py", tmp_path / "cwd" / "bye_core" / "__main__.py")
    (tmp_path / "cwd" / "bye_core" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path / "cwd")
    yield tmp_path / "jobs"
    for job in jobs.list_jobs(tmp_path / "jobs"):
        job.stop(grace=0)


def in_a_fresh_process(code, *arguments):
    """What another server would see."""
    environment = {**os.environ, "PYTHONPATH": str(Path(bye_core.__file__).parents[1])}
    code = f"import json, sys\nfrom pathlib import Path\nfrom bye_core.runs import jobs\n{code}"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd="/").stdout


def test_a_job_runs_to_its_end_and_tells_all(root, tmp_path):
    job = jobs.start(root / "one", "quick", [tmp_path / "a number", "7"], title="Count to seven")
    assert job.command == f"python -m bye_core quick '{tmp_path}/a number' 7"
    assert ended(job) == jobs.DONE
    assert job.result() == {"counted": 7}
    assert job.error() is None
    steps, place, restarted = job.history()
    assert [step.done for step in steps] == list(range(1, 8))
    assert [step.facts["loss"] for step in steps] == [1 / n for n in range(1, 8)]
    assert not restarted
    assert job.history(place) == ((), place, False)
    estimate_progress = job.progress()
    assert (estimate_progress.stage, estimate_progress.done, estimate_progress.total) == ("count", 7, 7)
    assert estimate_progress.rate > 0
    assert estimate_progress.seconds_left == 0
    assert (job.title, job.kind, job.id) == ("Count to seven", "quick", "one")


def test_stopped_in_the_middle_then_resumed_it_ends_as_if_it_had_not_been(root, tmp_path):
    job = jobs.start(root / "one", "quick", [tmp_path / "n", "300"])
    until(lambda: job.progress().done >= 3)
    assert job.stop(grace=PATIENCE) == jobs.STOPPED
    assert job.error() is None
    assert job.result() is None
    first = job.history()
    stopped_at = first.steps[-1].done
    assert 3 <= stopped_at < 300
    assert int((tmp_path / "n").read_text()) == stopped_at, "said before it was saved"
    job.resume()
    assert ended(job) == jobs.DONE
    assert job.result() == {"counted": 300}
    again = job.history(first.end)
    assert again.restarted
    assert [step.done for step in again.steps] == list(range(stopped_at + 1, 301))
    assert job.history().steps == again.steps


def test_another_server_finds_the_job_stops_and_resumes_it(root, tmp_path):
    start = "jobs.start(Path(sys.argv[1]), 'count', [sys.argv[2]])"
    job = jobs.start(root / "mine", "count", [tmp_path / "n"])
    listing = in_a_fresh_process(
        "print(json.dumps([[job.id, job.state] for job in jobs.list_jobs(Path(sys.argv[1]))]))", root
    )
    assert json.loads(listing) == [["mine", "running"]]
    # One that ended while nobody who could wait for it was there: its server is gone at once.
    in_a_fresh_process(f"import os; os.chdir({str(tmp_path / 'cwd')!r})\n{start}", root / "theirs", tmp_path / "m")
    theirs = jobs.Job.open(root / "theirs")
    until(lambda: theirs.progress().done >= 3)
    assert theirs.state == jobs.RUNNING
    assert in_a_fresh_process("print(jobs.Job.open(Path(sys.argv[1])).stop())", root / "mine").strip() == "stopped"
    assert job.state == jobs.STOPPED
    in_a_fresh_process("jobs.Job.open(Path(sys.argv[1])).resume()", root / "mine")
    assert job.state == jobs.RUNNING, "it runs where it was first started"
    until(lambda: job.progress().done >= 3)
    assert theirs.stop() == jobs.STOPPED
    assert jobs.running(root) == 1


def test_a_stop_is_repeated_until_the_command_has_saved(root, tmp_path):
    job = jobs.start(root / "one", "inattentive", [tmp_path / "file"])
    until(lambda: job.progress().done)
    assert job.stop(grace=PATIENCE) == jobs.STOPPED
    assert (tmp_path / "file").read_text() == "saved"
    assert record.read_exit(job.folder, 1)["exit"] == 143


@pytest.mark.skipif(sys.platform != "linux", reason="signals for one thread")
def test_a_stop_is_heard_whichever_thread_of_the_supervisor_gets_it(root, tmp_path):
    """Linux delivers a signal to any thread of a process that was paused; Python handles it in the main thread."""
    job = jobs.start(root / "one", "count", [tmp_path / "n"])
    until(lambda: job.progress().done)
    (other,) = {thread.id for thread in psutil.Process(job.pid).threads()} - {job.pid}
    assert ctypes.CDLL(None).tgkill(job.pid, other, signal.SIGTERM) == 0
    assert ended(job) == jobs.STOPPED


def test_what_hears_no_stop_is_killed_with_all_that_it_started(root, tmp_path):
    job = jobs.start(root / "one", "deaf", [tmp_path / "pids"])
    pids = [
        int(word) for word in until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text()).split()
    ]
    assert job.stop(grace=0.3) == jobs.STOPPED
    until(lambda: gone(job.pid, *pids))
    assert job.stop() == jobs.STOPPED


def test_a_job_whose_time_is_over_saves_its_work_and_can_be_resumed(root, tmp_path):
    job = jobs.start(root / "one", "count", [tmp_path / "n"], seconds=1)
    assert ended(job) == jobs.FAILED
    assert job.error().kind == "TimeOver"
    saved = int((tmp_path / "n").read_text())
    assert saved > 0
    job.resume()
    until(lambda: job.progress().done > saved)
    assert job.stop() == jobs.STOPPED


def test_an_endless_job_that_hears_no_stop_frees_its_place(root, tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "GRACE_SECONDS", 0.3)
    job = jobs.start(root / "one", "deaf", [tmp_path / "pids"], at_most=1, seconds=0.5)
    assert ended(job) == jobs.FAILED
    assert job.error().kind == "TimeOver"
    until(lambda: gone(job.pid))
    jobs.start(root / "two", "quick", [tmp_path / "a", "3"], at_most=1)


def test_a_killed_command_fails_with_its_reason(root):
    job = jobs.start(root / "one", "dies", ["9"])
    assert ended(job) == jobs.FAILED
    assert job.error().kind == "Killed"
    assert "memory" in job.error().problem
    outside = jobs.start(root / "two", "dies", ["15"])
    assert ended(outside) == jobs.STOPPED


def test_a_killed_supervisor_is_a_lost_job(root, tmp_path):
    job = jobs.start(root / "one", "count", [tmp_path / "n"])
    until(lambda: job.progress().done)
    family = psutil.Process(job.pid).children(recursive=True)
    os.kill(job.pid, signal.SIGKILL)
    assert ended(job) == jobs.LOST
    assert "without an exit record" in job.error().problem
    assert "Resume" in job.error().remedy
    for member in family:
        member.kill()
    job.resume()
    until(lambda: job.progress().done >= 3)
    assert job.state == jobs.RUNNING
    assert job.stop() == jobs.STOPPED


def test_a_zombie_is_not_running(root, tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert process.birth(child.pid) == ""
    child.wait()
    job = jobs.start(root / "one", "quick", [tmp_path / "n", "1"])
    ended(job)
    until(lambda: not psutil.pid_exists(job.pid))


def test_another_process_of_the_same_number_is_neither_the_job_nor_killed(root, tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    time.sleep(0.1)  # Births are told apart by clock ticks of 10 ms.
    job = jobs.start(root / "one", "quick", [tmp_path / "n", "1"])
    ended(job)
    (root / "one" / supervise.EXIT).unlink()
    (root / "one" / supervise.PROGRESS).write_text("")
    kept = record.read_record(job.folder)
    record.write_record(job.folder, replace(kept, pid=other.pid))
    assert job.state == jobs.LOST
    assert job.stop(grace=0) == jobs.LOST
    assert other.poll() is None
    record.write_record(job.folder, replace(kept, pid=other.pid, born=process.birth(other.pid)))
    assert job.state == jobs.RUNNING
    assert job.stop(grace=PATIENCE) == jobs.STOPPED
    other.wait()


def test_failures_in_words(root):
    failed = jobs.start(root / "one", "fails", [])
    assert ended(failed) == jobs.FAILED
    assert failed.error() == jobs.Failure("BadThing", "It is bad.", "Make it good.")
    crashed = jobs.start(root / "two", "crashes", [])
    assert ended(crashed) == jobs.FAILED
    assert "exit code 1" in crashed.error().problem
    assert "no such luck" in crashed.error().problem
    assert crashed.log().startswith("loading 100%\n"), "a bar's last form"
    assert crashed.log(1) == "ValueError: no such luck"


def test_nothing_is_left_running_in_the_group(root, tmp_path):
    job = jobs.start(root / "one", "orphan", [tmp_path / "pid"])
    assert ended(job) == jobs.DONE
    until(lambda: gone(int((tmp_path / "pid").read_text())))


def test_a_runaway_log_keeps_its_end_within_bounds(root):
    job = jobs.start(root / "one", "noise", [])
    assert ended(job) == jobs.DONE
    sizes = [(job.folder / name).stat().st_size for name in (supervise.LOG, supervise.OLDER_LOG)]
    assert max(sizes) <= supervise.LOG_BYTES
    assert sum(sizes) < 20_000_000 / 2
    assert job.log(1) == f"{19:019d}"
    assert len(job.log(300).splitlines()) == 300


def test_the_environment_and_the_nice_value(root, tmp_path, monkeypatch):
    monkeypatch.setenv("BYE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BYE_JOB_NICE", raising=False)
    job = jobs.start(root / "one", "tells", [], env={"EXTRA": "secret"})
    assert ended(job) == jobs.DONE
    assert job.result()["home"] == str(tmp_path / "home")
    assert job.result()["extra"] == "secret"
    assert job.result()["nice"] > os.nice(0)
    assert not [
        file for file in job.folder.iterdir() if file.name != supervise.PROGRESS and b"secret" in file.read_bytes()
    ]


def test_the_nice_value_is_a_setting(root, monkeypatch):
    monkeypatch.setenv("BYE_JOB_NICE", "2")
    job = jobs.start(root / "one", "tells", [])
    assert ended(job) == jobs.DONE
    assert job.result()["nice"] == os.nice(0) + 2
    for wrong in ("-1", "20", "low", "1.5"):
        monkeypatch.setenv("BYE_JOB_NICE", wrong)
        with pytest.raises(SettingError, match="whole number from 0 to 19"):
            jobs.start(root / "two", "tells", [])


def test_lists_newest_first_counts_refuses_and_removes(root, tmp_path):
    assert jobs.list_jobs(root) == ()
    older = jobs.start(root / "b", "count", [tmp_path / "n"], at_most=1)
    with pytest.raises(jobs.TooManyJobs, match="at most 1 may run"):
        jobs.start(root / "c", "quick", [tmp_path / "m"], at_most=1)
    with pytest.raises(jobs.JobExists):
        jobs.start(root / "b", "quick", [tmp_path / "m"])
    with pytest.raises(jobs.BadArgument):
        jobs.start(root / "d", "quick", ["a\0b"])
    newer = jobs.start(root / "a", "quick", [tmp_path / "m"], at_most=2)
    (root / "no job").mkdir()
    (root / "broken").mkdir()
    (root / "broken" / record.JOB).write_text("{}")
    assert [job.id for job in jobs.list_jobs(root)] == ["a", "b"]
    with pytest.raises(jobs.JobRunning):
        older.remove()
    with pytest.raises(jobs.JobRunning):
        older.resume()
    ended(newer)
    assert jobs.running(root) == 1
    older.stop()
    older.remove()
    assert not older.folder.exists()
    (newer.folder / "precious.txt").write_text("not a job's")
    newer.remove()
    assert [file.name for file in newer.folder.iterdir()] == ["precious.txt"]
    assert jobs.list_jobs(root) == ()
    with pytest.raises(jobs.NotAJob):
        jobs.Job.open(newer.folder)


def test_a_server_that_dies_while_starting_leaves_nothing_at_work(tmp_path):
    command = [sys.executable, "-I", "-S", str(HERE.parents[1] / "bye_core/runs/jobs/supervisor.py"), str(tmp_path)]
    supervisor = subprocess.Popen(command, stdin=subprocess.PIPE)
    supervisor.stdin.write(b'{"command": ["touch", "made"], "attempt": 1')
    supervisor.stdin.close()
    assert supervisor.wait(PATIENCE) == 0
    assert list(tmp_path.iterdir()) == []


def test_no_place_to_start_in_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(jobs.CannotStart, match="Free disk space"):
        jobs.start(tmp_path / "file" / "job", "quick", [])


# --- reading the lines -----------------------------------------------------------------------------------------


def line(done, time, stage="scan", total=1000, **facts):
    return (
        json.dumps({"time": time, "stage": stage, "done": done, "total": total, "message": "", "facts": facts}) + "\n"
    )


def test_a_torn_last_line_and_strange_lines_are_passed_over(tmp_path):
    path = tmp_path / "progress.jsonl"
    path.write_text("warning: x\n[1]\n" + line(1, 10.0) + '{"stage": 3}\n' + line(2, 11.0) + line(3, 12.0)[:-9])
    steps, place = progress_log.steps_from(path, 0)
    assert [step.done for step in steps] == [1, 2]
    assert [step.done for step in progress_log.recent_steps(path, 0)] == [1, 2]
    assert progress_log.final_line(path, 0) == {}
    with path.open("a") as file:
        file.write(line(3, 12.0)[-9:] + '{"result": {"a": 1}}\n')
    assert [step.done for step in progress_log.steps_from(path, place)[0]] == [3]
    assert progress_log.final_line(path, 0) == {"result": {"a": 1}}
    assert [step.done for step in progress_log.recent_steps(path, 0)] == [1, 2, 3]


def test_a_further_attempt_begins_on_a_line_of_its_own_behind_all_that_was_read(tmp_path):
    path = tmp_path / "progress.jsonl"
    assert progress_log.begin_attempt(path) == 0
    for torn in ("", '{"torn'):
        path.write_text(line(1, 1.0) + torn)
        read = progress_log.steps_from(path, 0)[1]
        begins = progress_log.begin_attempt(path)
        assert read < begins == path.stat().st_size
        assert progress_log.recent_steps(path, begins) == []
        with path.open("a") as file:
            file.write(line(7, 9.0))
        assert [step.done for step in progress_log.recent_steps(path, begins)] == [7]
        assert [step.done for step in progress_log.steps_from(path, 0)[0]] == [1, 7]


def test_ten_thousand_lines(tmp_path):
    path = tmp_path / "progress.jsonl"
    path.write_text(
        "".join(line(n, n / 100, loss=0.5) for n in range(10_000)) + json.dumps({"result": {"x": "y" * 200_000}}) + "\n"
    )
    begin = time.monotonic()
    steps, _ = progress_log.steps_from(path, 0)
    recent = progress_log.recent_steps(path, 0)
    seconds = time.monotonic() - begin
    assert len(steps) == 10_000
    assert recent[-1] == steps[-1]
    assert progress_log.estimate_progress(recent, 99.99).rate == pytest.approx(100)
    assert set(progress_log.final_line(path, 0)) == {"result"}
    assert seconds < PATIENCE


def steps(*pairs, stage="scan", total=100):
    return [progress_log.Step(stage, done, total, time=time) for done, time in pairs]


def test_rate_and_time_left():
    assert progress_log.estimate_progress([], 0) is None
    assert progress_log.estimate_progress(steps((5, 1.0)), 1.0).rate is None
    two = progress_log.estimate_progress(steps((0, 0.0), (10, 5.0)), 6.0)
    assert (two.rate, two.seconds_left) == (2.0, 44.0)
    assert progress_log.estimate_progress(steps((0, 0.0), (10, 5.0)), 500.0).seconds_left is None, "overdue"
    assert progress_log.estimate_progress(steps((0, 0.0), (100, 5.0)), 500.0).seconds_left == 0, "done"
    slow_then_fast = steps((0, 0.0), (1, 1000.0), (11, 1010.0), (21, 1020.0))
    assert progress_log.estimate_progress(slow_then_fast, 1020.0).rate == 1.0
    assert progress_log.estimate_progress(steps((0, 0.0), (1, 1000.0)), 1000.0).rate == 0.001
    assert (
        progress_log.estimate_progress(steps((8, 0.0), (9, 1.0), stage="load") + steps((1, 2.0), (3, 3.0)), 3.0).rate
        == 2.0
    )
    restarted = progress_log.estimate_progress(steps((50, 0.0), (100, 1.0), (10, 2.0), (30, 4.0)), 4.0)
    assert restarted.rate == 10.0, "the same stage once more, from the start"
    assert progress_log.estimate_progress(steps((3, 1.0), (5, 0.5)), 1.0).rate is None, "the clock was set back"


def test_the_job_to_show(root, tmp_path):
    assert jobs.current(root, "count") is None
    first = jobs.start(root / "first", "count", [tmp_path / "n"])
    other = jobs.start(root / "other", "tells", [])
    second = jobs.start(root / "second", "count", [tmp_path / "m"])
    assert jobs.current(root, "count").id == "second"
    assert jobs.current(root, "count", "first").id == "first"
    assert jobs.current(root, "count", other.id).id == "second", "the other job is of another kind"
    second.stop(grace=0)
    assert jobs.current(root, "count").id == "first", "it is running"
    first.stop(grace=0)
    assert jobs.current(root, "count").id == "second"
    assert [job.id for job in jobs.list_jobs(root, "tells")] == ["other"]


def test_values_that_a_command_was_given(root):
    job = jobs.Job(root, record.Record("scan", ("--data", "a", "--columns", "b", "c", "--detect"), "", "", ""))
    assert [job.option(flag) for flag in ("--data", "--columns", "--detect", "--out")] == ["a", "b", "", ""]
