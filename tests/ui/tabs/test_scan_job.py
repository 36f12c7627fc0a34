"""Scans as jobs: the command, who may start what, what is found again, what came of it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from bye_core.cli.main import build_parser
from bye_core.errors import ByeError
from bye_core.pipeline.scan import AdapterAndBefore
from bye_core.runs import jobs
from bye_core.ui import visitor
from bye_core.ui.header.view import running_jobs
from bye_core.ui.session import Session
from bye_core.ui.shared import job_card, limits
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.limits import MachineBusy, NotHere, TooLargeHere, TooManySamples
from bye_core.ui.shared.model_choice import (
    NoModelChosen,
    NoSuchModel,
    adapter_choices,
    model_choices,
    resolve_adapter,
    resolve_model,
)
from bye_core.ui.shared.workspace_jobs import is_busy, resume_job
from bye_core.ui.tabs.scan import job as scan_job
from bye_core.ui.tabs.scan import run_list
from bye_core.ui.tabs.scan.job import Form
from bye_core.ui.workspace import new_token, workspace_of
from tests.made_run import make_data
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")
STAND_IN = """
import json, signal, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
for done in range(1, 400):
    print(json.dumps({"time": time.time(), "stage": "scan", "done": done, "total": 400, "message": "",
                      "facts": {"scored": done, "failed": 0}}), flush=True)
    if asked:
        print(json.dumps({"stopped": True}), flush=True)
        sys.exit(143)
    time.sleep(0.05)
"""


@pytest.fixture
def workspace(home):
    return workspace_of("")


@pytest.fixture
def standing_in(tmp_path, monkeypatch):
    """Jobs are quick to start and do nothing for twenty seconds."""
    package = tmp_path / "cwd" / "bye_core"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(STAND_IN)
    (package / "__init__.py").touch()
    monkeypatch.chdir(package.parent)
    started = []
    yield started.append
    for job in started:
        job.stop(grace=0)


@pytest.fixture
def choice(tmp_path):
    return Choice(str(make_data(tmp_path / "d" / "my set", 5)))


@pytest.fixture
def model(tmp_path):
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    return str(tmp_path / "models" / "tiny")


def test_the_command_is_one_that_the_command_line_takes(workspace, choice, model, tmp_path):
    choice = replace(choice, format="vqa", columns={"question": "my question", "answer": "a"})
    form = Form(model, "", "", "8", "cpu", "float16")
    found = scan_job.arguments(workspace, choice, form, scan_job.run_folder(workspace, form, choice))
    args = build_parser().parse_args(["scan", *found])
    assert (args.model, args.data, args.adapter) == (model, choice.key, None)
    assert (args.batch, args.device, args.dtype, args.format) == (8, "cpu", "float16", "vqa")
    assert dict(args.columns) == dict(choice.columns)
    assert (args.run, args.detect) == (workspace.runs / "data-tiny", True)
    plain = scan_job.arguments(workspace, choice, Form(model), tmp_path / "run")
    assert not {"--batch", "--device", "--dtype"} & set(plain), "auto is left to the machine"
    assert "--answers" not in plain, "there is no model before fine-tuning"


def test_answers_are_read_where_there_is_an_adapter_unless_unwanted(workspace, choice, model, tmp_path):
    (tmp_path / "adapter").mkdir()
    for wanted in (True, False):
        form = Form(model, str(tmp_path / "adapter"), answers=wanted)
        found = scan_job.arguments(workspace, choice, form, tmp_path / "run")
        assert build_parser().parse_args(["scan", *found]).answers == wanted


def test_a_fully_fine_tuned_model_is_scanned_beside_the_model_before(workspace, choice, model, tmp_path):
    (tmp_path / "before").mkdir()
    (tmp_path / "adapter").mkdir()
    form = Form(model, before=str(tmp_path / "before"))
    args = build_parser().parse_args(["scan", *scan_job.arguments(workspace, choice, form, tmp_path / "run")])
    assert (args.before, args.answers) == (str(tmp_path / "before"), True)
    silent = scan_job.arguments(workspace, choice, replace(form, answers=False), tmp_path / "run")
    assert not {"--before", "--answers"} & set(silent)
    with pytest.raises(AdapterAndBefore):
        scan_job.arguments(workspace, choice, replace(form, adapter=str(tmp_path / "adapter")), tmp_path / "run")


def test_names_of_runs_are_free_ones(workspace, choice, model):
    form = Form(model, name="../My run!")
    assert scan_job.run_folder(workspace, form, choice) == workspace.runs / "My-run"
    (workspace.jobs / "My-run").mkdir(parents=True)
    assert scan_job.run_folder(workspace, form, choice) == workspace.runs / "My-run-2"


def test_adapters_are_those_of_the_workplace(workspace, model, tmp_path):
    (workspace.adapters / "mine").mkdir(parents=True)
    (workspace.adapters / "mine" / "adapter_config.json").write_text("{}")
    (workspace.adapters / "unfinished").mkdir()
    assert ("mine", "own:mine") in adapter_choices(workspace)
    assert "unfinished" not in str(adapter_choices(workspace))
    assert resolve_adapter(workspace, "own:mine") == str(workspace.adapters / "mine")
    assert resolve_adapter(workspace, None) == ""
    for value in ("own:../mine", "own:..", "own:unfinished/x", "demo:../../x"):
        with pytest.raises(NoSuchModel):
            resolve_adapter(workspace, value)


@pytest.mark.parametrize("value", ["/etc", "tests/ui", "own:../x", "~", "."])
def test_a_public_host_takes_no_folder(home, monkeypatch, value):
    monkeypatch.setenv("BYE_HOSTED", "1")
    with pytest.raises(NotHere):
        resolve_model(value)
    with pytest.raises(NotHere):
        resolve_adapter(workspace_of(new_token()), value)
    assert resolve_model("owner/model") == "owner/model"


def test_what_stands_against_a_start_is_said_before_any_work(workspace, choice, model, home, monkeypatch):
    with pytest.raises(NoModelChosen):
        scan_job.start(workspace, choice, Form())
    with pytest.raises(NoSuchModel):
        scan_job.start(workspace, choice, Form("nothing here"))
    with pytest.raises(ByeError):
        scan_job.start(workspace, Choice("/nowhere"), Form(model))
    monkeypatch.setattr(limits, "OWN", replace(limits.OWN, samples=4))
    with pytest.raises(TooManySamples, match="5 samples"):
        scan_job.start(workspace, choice, Form(model))
    assert not jobs.list_jobs(workspace.jobs)


def test_a_job_is_found_again_stopped_and_resumed(workspace, choice, model, standing_in):
    job = scan_job.start(workspace, choice, Form(model))
    standing_in(job)
    assert job.command == "python -m bye_core scan " + job.command.split("scan ", 1)[1]
    assert is_busy(workspace)
    assert visitor.wake(Session("0" * 32)).active
    assert jobs.current(workspace.jobs, "scan").id == job.id == "data-tiny"
    until(lambda: job.progress().done >= 3)
    html = job_card.card(workspace, jobs.current(workspace.jobs, "scan"))
    assert "of 400 samples" in html
    assert "samples/s" in html
    assert "scanning" in running_jobs(workspace.jobs)
    assert job.stop() == jobs.STOPPED
    assert not is_busy(workspace)
    assert visitor.wake(Session("0" * 32)) == visitor.wake(Session()) == gr.skip()
    assert running_jobs(workspace.jobs) == ""
    resume_job(job)
    assert jobs.current(workspace.jobs, "scan").state == jobs.RUNNING


def test_only_so_many_jobs_at_a_time(home, workspace, choice, model, standing_in, monkeypatch):
    for _ in range(limits.OWN.jobs):
        standing_in(scan_job.start(workspace, choice, Form(model)))
    with pytest.raises(jobs.TooManyJobs):
        scan_job.start(workspace, choice, Form(model))


def test_a_public_host_bounds_all_visitors_together(home, tmp_path, standing_in, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    monkeypatch.setattr(scan_job, "check_repo_size", lambda *_, **__: 0)
    workspaces = [workspace_of(new_token()) for _ in range(3)]
    for workspace in workspaces:
        shutil.copytree(make_data(tmp_path / workspace.root.name, 3).parent, workspace.data / "mine")
    for workspace in workspaces[:2]:
        standing_in(scan_job.start(workspace, Choice("mine"), Form("owner/model")))
    monkeypatch.setattr(limits, "PUBLIC", replace(limits.PUBLIC, all_jobs=9))
    with pytest.raises(jobs.TooManyJobs):
        scan_job.start(workspaces[0], Choice("mine"), Form("owner/model"))
    monkeypatch.setattr(limits, "PUBLIC", replace(limits.PUBLIC, all_jobs=2))
    with pytest.raises(MachineBusy):
        scan_job.start(workspaces[2], Choice("mine"), Form("owner/model"))


def test_a_public_host_bounds_models_and_adapters_from_the_hub(home, tmp_path, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    workspace = workspace_of(new_token())
    shutil.copytree(make_data(tmp_path / "set", 3).parent, workspace.data / "mine")
    sizes, kept = {"owner/model": 1, "owner/adapter": limits.PUBLIC.model + 1}, []

    def repo_info(self, name, **_):
        return SimpleNamespace(siblings=[SimpleNamespace(size=sizes[name])])

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", repo_info)
    monkeypatch.setattr(scan_job, "make_room", lambda name, size: kept.append(name))
    monkeypatch.setattr(scan_job, "start_job", lambda *_: kept.append("started"))
    with pytest.raises(TooLargeHere, match=r"owner/adapter has 3\.0 GB"):
        scan_job.start(workspace, Choice("mine"), Form("owner/model", "owner/adapter"))
    sizes["owner/adapter"] = 1
    kept.clear()
    scan_job.start(workspace, Choice("mine"), Form("owner/model", "owner/adapter"))
    assert kept == ["owner/model", "owner/adapter", "started"]


def test_the_list_of_runs(run_path, workspace):
    html = run_list.table(workspace, "made")
    assert "data-run='made'" in html
    assert "Poisoning found: 12 of 120 flagged" in html
    assert "aria-current" in html
    (run_path / "run.json").write_text("{}")
    assert "damaged" in run_list.table(workspace, "")


def test_numbers_in_words():
    assert [job_card.duration(s) for s in (0.4, 59, 61, 119 * 60, 7200, 90_000)] == [
        "0 s", "59 s", "1 min", "119 min", "2 h 0 min", "25 h 0 min",
    ]  # fmt: skip
    assert [job_card.rate(r, "samples") for r in (1234.5, 38.2, 2.25, 0.1)] == [
        "1,234 samples/s", "38 samples/s", "2.2 samples/s", "10.0 s/sample",
    ]  # fmt: skip


def test_a_hostile_name_does_nothing(workspace, standing_in):
    job = jobs.start(workspace.jobs / "x", "scan", ["--run", "<b>"], title="<script>alert(1)</script>")
    standing_in(job)
    assert "<script" not in running_jobs(workspace.jobs)
    assert "<b>" not in job_card.card(workspace, job).replace("<bdi>", "")


def test_the_model_of_an_earlier_scan_is_offered_again(run_path, workspace):
    assert ("made/model", "made/model") in model_choices(workspace)
    assert Path(resolve_model("made/model")).parts == ("made", "model")
