"""The Clean tab up to its command, and how far a cleaning is by its files; nothing is run here."""

import shutil

import pytest

from bye_core import pipeline
from bye_core.cli.main import build_parser
from bye_core.cli.training import cleaning_of
from bye_core.runs import Run, jobs
from bye_core.train.settings import CARD
from bye_core.ui import demo_run
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, stages_card
from bye_core.ui.shared.attack_form import NO_TRIGGER
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.tabs.clean import actions as clean_actions
from bye_core.ui.tabs.clean import job as clean_job
from bye_core.ui.workspace import new_token, workspace_of


@pytest.fixture
def workspace(run_path):
    return workspace_of("")


@pytest.fixture
def data(run_path):
    """The set of the run, as Data names it."""
    return data_sets.key_of(Run.open(run_path).settings.data)


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return str(tmp_path / "model")


class Job:
    """A job as far as the card asks it."""

    id = title = "made"
    fails = False

    def __init__(self, arguments, stage="", result=None):
        self.arguments, self._stage, self._result = tuple(arguments), stage, result

    def progress(self):
        return jobs.JobProgress(self._stage, 3, 12, rate=1.0, seconds_left=9.0)

    def result(self):
        return self._result

    def error(self):
        return jobs.Failure("OutOfMemory", "Too large.", "Choose a smaller <batch>.") if self.fails else None

    def log(self, lines):
        return "line 1"


def states(job, state):
    return {stage.name: stage.state for stage in stages_card.stages(job, state)}


def parsed(arguments):
    """The cleaning that the command line reads from the arguments."""
    return cleaning_of(build_parser().parse_args(["clean", *arguments]))


def test_defaults_are_the_papers_but_for_the_demo():
    assert clean_job.defaults("").trigger == NO_TRIGGER
    demo = clean_job.defaults(data_sets.DEMO)
    assert demo.test.endswith("test.json")
    assert demo.trigger != NO_TRIGGER
    assert demo.settings["epochs"] > 0


def test_without_a_choice_the_demos_poisoned_set_is_cleaned(workspace):
    assert clean_actions.chosen_set(Session(data="mine")) == "mine"
    given = clean_job.arguments(workspace, clean_actions.chosen_set(Session()), clean_job.defaults(data_sets.DEMO))
    assert given[given.index("--data") + 1] == str(data_sets.DEMO_FILE)


def test_the_command_names_only_what_differs(workspace, data, model):
    form = clean_job.Form(model, data, "patch", 0.125, "", random=True, settings={"epochs": 1, "rank": None})
    given = clean_job.arguments(workspace, data, form)
    out = workspace.root / "cleanings" / "data-cleaning"
    path = data_sets.path_of(workspace, data_sets.find(workspace, data))
    assert given == [
        *("--model", model, "--data", path, "--out", str(out), "--run", str(workspace.runs / out.name)),
        *("--epochs", "1.0"),
        *("--test", path, "--trigger", "patch", "--size", "0.125", "--target", "Backdoor Attack!"),
        *("--baseline", "random"),
    ]
    wanted = parsed(given)
    assert (wanted.settings.epochs, wanted.baselines, wanted.attack.triggers[0].size) == (1.0, ("random",), 0.125)

    truth = demo_run.DEMO / "data" / "truth.json"
    given = clean_job.arguments(workspace, data, clean_job.Form(model, data, "patch", truth=str(truth)))
    assert given[-2:] == ["--attack", str(truth)]
    wanted = parsed(given)
    assert (wanted.attack, wanted.attack_seed) == pipeline.read_attack(truth)


def test_what_makes_no_sense_is_said_before_anything_runs(workspace, data, model, monkeypatch):
    with pytest.raises(clean_job.NoSetChosen):
        clean_job.arguments(workspace, "", clean_job.Form(model))
    with pytest.raises(pipeline.cleaning.AttackWithoutTest):
        clean_job.arguments(workspace, data, clean_job.Form(model, trigger="patch"))
    monkeypatch.setenv("BYE_HOSTED", "1")
    with pytest.raises(NotHere, match="own machine"):
        clean_job.start(workspace_of(new_token()), data, clean_job.Form(model))


def test_stages_stand_as_their_files_do(workspace, data, model, run_path):
    given = clean_job.arguments(workspace, data, clean_job.Form(model, name="made-again"))
    job = Job(given, "finetune suspect")
    assert states(job, jobs.RUNNING)["finetune suspect"] == "running"
    assert set(states(job, jobs.DONE).values()) == {"waiting"}
    for state in (jobs.STOPPED, jobs.FAILED, jobs.LOST):
        assert states(job, state)["finetune suspect"] == state

    out = stages_card.outline_of(job.arguments).folder.out
    (out / "suspect").mkdir(parents=True)
    (out / "suspect" / CARD).write_text("{}")
    shutil.copytree(run_path, stages_card.outline_of(given).folder.run)
    pipeline.detect_run(stages_card.outline_of(given).folder.run)
    found = states(Job(given, "finetune cleaned"), jobs.RUNNING)
    done = ("finetune suspect", "scan", "detect")
    assert found == {
        **dict.fromkeys(done, "done"),
        "export": "waiting",
        "finetune cleaned": "running",
        "report": "waiting",
    }

    pipeline.detect_run(stages_card.outline_of(given).folder.run, false_alarm=1e-300)
    assert states(job, jobs.STOPPED)["finetune cleaned"] == "skipped"


def test_the_card_escapes_and_tells_figures(workspace, data, model):
    given = clean_job.arguments(workspace, data, clean_job.Form(model))
    models = {"base": {"cp": 0.5, "cp_interval": [0.4, 0.6], "asr": None}}
    result = {"verdict": "poisoned", "flagged": 3, "samples": 30, "kept": 27, "models": models}
    job = Job(given, "scan", result)
    job.title = "<script>"
    card = stages_card.card(job, jobs.DONE)
    assert "<script>" not in card
    assert "3 of 30 flagged, 27 kept." in card
    assert "50.0% (40.0 to 60.0)" in card
    assert "CIDEr" not in card
    for state in (jobs.RUNNING, jobs.STOPPED, jobs.FAILED):
        card = stages_card.card(Job(given, "scan"), state)
        assert "3 of 12 samples" in card
        assert ("9 s left" in card) == (state == jobs.RUNNING)


def test_the_card_of_a_failed_job_has_the_reason_and_the_log(workspace, data, model):
    job = Job(clean_job.arguments(workspace, data, clean_job.Form(model)), "scan")
    job.fails = True
    card = stages_card.card(job, jobs.FAILED)
    assert card.endswith("<pre>line 1</pre></details></section>")
    assert "<strong>Too large.</strong> Choose a smaller &lt;batch&gt;." in card
