"""What a command says while it runs, and how it ends when asked to: real commands, also as background jobs."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from bye_core import pipeline, runs
from bye_core.cli import main
from bye_core.cli.output import Lines
from bye_core.files import to_json_values
from bye_core.process import Stopped, StopRequest
from bye_core.records import Fault, Progress
from bye_core.runs import jobs
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import write_set
from tests.waiting import PATIENCE, until

COUNT = 200
SHORT = {"detect", "decide", "score", "report"}  # subcommands that end at once

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("data") / "raw", COUNT)


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def last_line(path):
    return lines_of(path.read_text())[-1]


# --- one process -----------------------------------------------------------------------------------------------


def test_every_long_subcommand_can_be_followed():
    parser, needed = main.build_parser(), {"--model": "m", "--data": "d", "--out": "o", "--run": "r", "--id": "s"}
    long = [command for command in main.COMMANDS.values() if command.long]
    assert {command.name for command in main.COMMANDS.values()} - {command.name for command in long} == SHORT
    for command in long:
        name, options = command.name, main.ArgumentParser()
        command.add_options(options)
        asked = [a for a in options._actions if a.required and a.option_strings]
        words = [word for a in asked for word in (a.option_strings[0], needed[a.option_strings[0]])]
        words += ["data" for a in options._actions if not a.option_strings and a.required]
        assert parser.parse_args([name, *words]).progress == "bar"
        assert parser.parse_args([name, *words, "--progress", "jsonl"]).progress == "jsonl"


def test_values_become_plain():
    @dataclasses.dataclass(frozen=True)
    class Record:
        number: float
        parts: tuple

    value = {"a": Record(float("nan"), (np.float32(0.5), Path("x"))), 1: np.arange(2), "c": frozenset("z"), "d": None}
    assert to_json_values(value) == {"a": {"number": None, "parts": [0.5, "x"]}, "1": [0, 1], "c": ["z"], "d": None}


def test_standard_output_holds_json_lines_and_nothing_else(capsys):
    fault = Fault("a", 0, "Broken", "It broke.", "Mend it.")

    def steps():
        print("a library talks")  # noqa: T201
        yield Progress("check", 1, 2, "hello", {"faults": (fault,)})
        yield Progress("check", 2, 2)

    with StopRequest() as stop, Lines(as_json=False, stop=stop) as report:
        report.result({"done": report.follow(steps()).done})
    out, err = capsys.readouterr()
    first, second, result = lines_of(out)
    assert {**first, "time": 0} == {
        "time": 0, "stage": "check", "done": 1, "total": 2, "message": "hello",
        "facts": {"faults": [to_json_values(fault)]},
    }  # fmt: skip
    assert first["time"] <= second["time"] <= time.time()
    assert result == {"result": {"done": 2}}
    assert err == "a library talks\n"


def test_errors_are_lines_too(tmp_path, capsys, monkeypatch):
    assert main.main(["check", str(tmp_path / "nowhere"), "--progress", "jsonl"]) == 1
    out, err = capsys.readouterr()
    assert set(lines_of(out)[-1]["error"]) == {"kind", "problem", "remedy"}
    assert "nowhere" in err
    monkeypatch.setattr(pipeline, "check", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main.main(["check", "x", "--progress", "jsonl"])
    assert "ZeroDivisionError" in lines_of(capsys.readouterr().out)[-1]["error"]["problem"]


def test_check_reports_faults_as_they_are_found_and_at_the_end(data, capsys):
    assert main.main(["check", str(data), "--progress", "jsonl"]) == 0
    *steps, last = lines_of(capsys.readouterr().out)
    assert [step["done"] for step in steps] == [*range(COUNT + 1), COUNT]
    assert last["result"]["ready"] == COUNT
    assert main.main(["check", str(data), "--progress", "none", "--json"]) == 0
    out, err = capsys.readouterr()
    assert lines_of(out) == [last["result"]]
    assert err == ""


@posix
def test_a_signal_is_obeyed_at_once_unless_the_next_checkpoint_is_worth_waiting_for():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        with pytest.raises(Stopped) as at_once:
            os.kill(os.getpid(), signal.SIGINT)
        assert at_once.value.code == 130
    with StopRequest() as stop:
        stop.checkpoint(PATIENCE)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped) as at_the_checkpoint:
            stop.checkpoint(PATIENCE)
        assert at_the_checkpoint.value.code == 143
    with StopRequest() as stop:
        stop.checkpoint(PATIENCE)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGINT)
    with StopRequest() as stop:
        stop.checkpoint(0.1)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            time.sleep(PATIENCE)
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@posix
def test_a_repeated_sigterm_interrupts_neither_the_save_nor_the_end():
    with StopRequest() as stop:
        assert not stop.asked(PATIENCE)
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked(PATIENCE)
        with pytest.raises(Stopped) as stopped:
            stop.obey()
        os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.code == 143


@posix
def test_a_stop_that_a_library_discards_is_raised_again_at_the_next_checkpoint():
    with StopRequest() as stop:
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            stop.checkpoint()


@posix
def test_a_signal_that_whoever_started_this_wants_ignored_is_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequest():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


# --- real commands ---------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_scan_has_saved_all_that_it_told(tmp_path, model, data, number, code):
    run, out, err = tmp_path / "run", tmp_path / "out", tmp_path / "err"
    command = [sys.executable, "-m", "bye_core", "scan", "--model", str(model), "--data", str(data), "--run", str(run)]
    with out.open("w") as stdout, err.open("w") as stderr:
        child = subprocess.Popen([*command, "--batch", "2", "--progress", "jsonl"], stdout=stdout, stderr=stderr)
    until(lambda: out.read_text().count("\n") > 3)
    child.send_signal(number)
    assert child.wait(PATIENCE) == code
    *steps, last = lines_of(out.read_text())
    assert last == {"stopped": True}
    assert steps[-1]["done"] == runs.Run.open(run).counts().scored < COUNT
    assert "Run the same command to resume" in err.read_text()
    assert "Traceback" not in err.read_text()


def scan_job(folder, model, data, run, *more):
    options = ["--model", model, "--data", data, "--run", run, "--batch", "2", *more]
    return jobs.start(folder, "scan", options, env={"OMP_NUM_THREADS": "1"})


@pytest.fixture
def whole(tmp_path, model, data, capsys):
    """The run of a scan that nothing stops, by this process: with one thread, as the jobs have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    options = ["--model", str(model), "--data", str(data), "--run", str(tmp_path / "whole"), "--batch", "2"]
    assert main.main(["scan", *options, "--progress", "none"]) == 0
    torch.set_num_threads(threads)
    return runs.Run.open(tmp_path / "whole")


@posix
def test_a_scan_job_stopped_and_resumed_reads_the_same_rows(tmp_path, model, data, whole):
    job = scan_job(tmp_path / "jobs/one", model, data, tmp_path / "run")
    until(lambda: job.progress().done >= 6)
    assert job.stop(grace=PATIENCE) == jobs.STOPPED, job.log()
    done = runs.Run.open(tmp_path / "run").counts().scored
    assert 6 <= done < COUNT
    assert job.progress().done == done
    job.resume()
    assert until(lambda: job.state != jobs.RUNNING and job.state) == jobs.DONE, job.log()
    assert job.result() == {"run": str(tmp_path / "run"), "samples": COUNT, "scanned": COUNT, "failed": 0}
    assert job.history().steps[0].done == done
    assert job.progress().facts == {"scored": COUNT, "failed": 0}
    one, other = runs.Run.open(tmp_path / "run").table(), whole.table()
    assert one.ids == other.ids
    for name in ("entropy", "peak", "mass", "layer_entropy", "layer_entropy_reference", "token", "probability"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


@posix
def test_a_failed_job_says_what_the_command_said(tmp_path, model):
    job = scan_job(tmp_path / "jobs/one", model, tmp_path / "nowhere", tmp_path / "run")
    assert until(lambda: job.state != jobs.RUNNING and job.state) == jobs.FAILED
    assert "nowhere" in job.error().problem
    assert job.error().remedy
    usage = scan_job(tmp_path / "jobs/two", model, "d", tmp_path / "run", "--no-such-option")
    assert until(lambda: usage.state != jobs.RUNNING and usage.state) == jobs.FAILED
    assert "--no-such-option" in usage.error().problem


@posix
def test_a_command_ends_where_its_batch_is_saved_when_its_supervisor_is_killed(tmp_path, model, data):
    job = scan_job(tmp_path / "jobs/one", model, data, tmp_path / "run")
    until(lambda: job.progress().done >= 6)
    (command,) = psutil.Process(job.pid).children()
    os.kill(job.pid, signal.SIGKILL)
    until(lambda: not command.is_running() or command.status() == psutil.STATUS_ZOMBIE)
    assert job.state == jobs.STOPPED, "it found the time to say so"
    assert job.progress().done == runs.Run.open(tmp_path / "run").counts().scored < COUNT


def finetune_job(folder, model, data, out):
    options = ["--model", model, "--data", data, "--out", out, "--epochs", "100", "--batch", "4", "--micro-batch", "4"]
    job = jobs.start(folder, "finetune", options, env={"OMP_NUM_THREADS": "1"})
    until(lambda: len(job.history().steps) > 2 or job.state != jobs.RUNNING)
    assert job.state == jobs.RUNNING, job.log()
    return job


@posix
def test_a_stopped_fine_tuning_leaves_no_training_behind(tmp_path, model, data):
    job = finetune_job(tmp_path / "jobs/one", model, data, tmp_path / "adapter")
    steps = job.history().steps
    assert steps[-1].facts["loss"] > 0
    assert steps[-1].total == 100 * COUNT / 4
    processes = psutil.Process(job.pid).children(recursive=True)
    assert any("--here" in process.cmdline() for process in processes)
    assert job.stop(grace=PATIENCE) == jobs.STOPPED
    assert last_line(job.folder / "progress.jsonl") == {"stopped": True}
    assert psutil.wait_procs(processes, PATIENCE)[1] == []
    assert "The last checkpoint is kept" in job.log()


@posix
@pytest.mark.parametrize("who", ["supervisor", "command"])
def test_no_training_outlives_the_kill_of_its_parents(tmp_path, model, data, who):
    job = finetune_job(tmp_path / "jobs/one", model, data, tmp_path / "adapter")
    processes = psutil.Process(job.pid).children(recursive=True)
    (command,) = psutil.Process(job.pid).children()
    os.kill(job.pid if who == "supervisor" else command.pid, signal.SIGKILL)
    assert psutil.wait_procs(processes, PATIENCE)[1] == []
    assert until(lambda: job.state != jobs.RUNNING and job.state) == (
        jobs.STOPPED if who == "supervisor" else jobs.FAILED
    )
