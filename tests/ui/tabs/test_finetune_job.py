"""The form of a fine-tuning, and the measurements before and after, up to the command; nothing is run here."""

import json
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from bye_core.errors import ByeError
from bye_core.runs import Run, edit_settings, jobs
from bye_core.train import checkpoints
from bye_core.train.settings import CARD, PRESETS, BadFinetuneSetting, FinetuneSettings
from bye_core.ui import demo_run
from bye_core.ui.session import Session
from bye_core.ui.shared.attack_form import NoTruthFile
from bye_core.ui.shared.exports import NotExported
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.shared.training_form import settings_from_form
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.tabs.finetune import actions as finetune_actions
from bye_core.ui.tabs.finetune import evaluation, evaluation_actions, evaluation_table, status_card
from bye_core.ui.tabs.finetune import job as finetune_job
from bye_core.ui.tabs.finetune.actions import Watch
from bye_core.ui.tabs.finetune.evaluation_actions import OutcomeParts
from bye_core.ui.workspace import new_token, workspace_of


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return str(tmp_path / "model")


def make_adapter(folder, **settings):
    folder.mkdir(parents=True)
    (folder / CARD).write_text(json.dumps({"settings": settings}))
    return str(folder)


def test_the_command_names_only_what_differs(workspace, run, model):
    form = finetune_job.Form(
        model, finetune_job.RAW, settings={"epochs": 1, "rank": 8.0, "projector": False, "seed": None}
    )
    given = finetune_job.arguments(workspace, run, form)
    out = str(workspace.adapters / "made-everything")
    assert given == [
        *("--model", model, "--data", run.settings.data, "--out", out),
        *("--epochs", "1.0", "--rank", "8", "--no-projector"),
    ]


def test_a_set_scanned_with_columns_is_tuned_on_with_them(workspace, run, model):
    edit_settings(run.path, format="vqa", more={"columns": {"answer": "reply"}})
    given = finetune_job.arguments(workspace, Run.open(run.path), finetune_job.Form(model, finetune_job.RAW))
    assert given[4:8] == ["--format", "vqa", "--columns", "answer=reply"]


def test_the_command_line_understands_it(workspace, run, model):
    from bye_core.cli.main import build_parser

    values = {"epochs": 0.5, "rank": 2, "projector": False, "micro_batch": 4, "weight_decay": 0.1, "dtype": "float32"}
    given = finetune_job.arguments(workspace, run, finetune_job.Form(model, finetune_job.RAW, settings=values))
    args = build_parser().parse_args(["finetune", *given])
    assert {name: getattr(args, name) for name in values} == values


@pytest.mark.parametrize(("batch", "micro", "taken"), [(16, 16, 16), (4, 16, 4), (24, 16, 8), (32, 16, 16), (8, 2, 2)])
def test_what_is_in_memory_at_once_fits_the_batch(batch, micro, taken):
    assert settings_from_form({"batch": batch, "micro_batch": micro}).micro_batch == taken


def test_what_makes_no_sense_is_said_before_anything_starts(workspace, run, model):
    with pytest.raises(BadFinetuneSetting, match="rank"):
        finetune_job.arguments(workspace, run, finetune_job.Form(model, finetune_job.RAW, settings={"rank": 0}))
    with pytest.raises(NotExported):
        finetune_job.arguments(workspace, run, finetune_job.Form(model, f"{finetune_job.CLEANED}made"))
    with pytest.raises(finetune_job.NoDataChosen):
        finetune_job.arguments(workspace, run, finetune_job.Form(model, finetune_job.OTHER))
    make_adapter(workspace.adapters / "mine")
    with pytest.raises(finetune_job.NameTaken, match="mine"):
        finetune_job.arguments(workspace, run, finetune_job.Form(model, finetune_job.RAW, name="mine"))


def test_what_is_left_comes_first_once_it_is_exported(workspace, run, run_path):
    assert finetune_job.default_data(workspace, run) == finetune_job.RAW
    export_job.start(workspace, run_path, "made", "same").result()
    assert finetune_job.default_data(workspace, run) == f"{finetune_job.CLEANED}made"
    labels = [label for label, _ in finetune_job.data_choices(workspace, run)]
    assert labels == ["cleaned: export made, 120 records", "everything: the scanned set, 120 samples", "another folder"]


def test_settings_are_those_of_the_scanned_adapter(run, tmp_path):
    assert finetune_job.default_settings(run) == FinetuneSettings()
    adapter = make_adapter(tmp_path / "suspect", epochs=6.0, rate=0.003, device="cuda", rank=4, other=1)
    object.__setattr__(run.settings, "adapter", adapter)
    assert finetune_job.default_settings(run) == FinetuneSettings(epochs=6.0, rate=0.003, rank=4)


def test_a_recipe_is_taken_as_a_whole_and_known_again(run, tmp_path):
    names = [name for _, name in finetune_job.recipe_choices(run)]
    assert names == [*PRESETS, finetune_job.OWN_RECIPE]
    for name, settings in PRESETS.items():
        assert finetune_job.recipe(run, name) == settings
        assert finetune_job.recipe_of(run, settings) == name
    mine = replace(FinetuneSettings(), epochs=6.0, rate=0.003)
    assert finetune_job.recipe(run, finetune_job.OWN_RECIPE) is None
    assert finetune_job.recipe_of(run, mine) == finetune_job.OWN_RECIPE
    object.__setattr__(run.settings, "adapter", make_adapter(tmp_path / "suspect", epochs=6.0, rate=0.003))
    assert finetune_job.recipe_choices(run)[0][1] == finetune_job.recipe_of(run, mine) == finetune_job.SCANNED_RECIPE


def test_a_tab_chosen_before_the_visitor_is_known_is_filled_when_they_are(monkeypatch):
    parts, filled = SimpleNamespace(watch="watch", unchanged=dict), []
    monkeypatch.setattr(finetune_actions, "workspace_of", lambda visitor: None)
    monkeypatch.setattr(finetune_actions, "session_run", lambda session: None)
    monkeypatch.setattr(finetune_actions, "_fill", lambda *given: filled.append(given) or {})
    monkeypatch.setattr(finetune_actions, "refresh", lambda *_: {})
    watch = finetune_actions.enter(parts, Session(), Watch())["watch"]
    assert not filled
    finetune_actions.change_session(parts, Session(visitor="v"), Watch())
    assert not filled, "nobody has looked at the tab"
    finetune_actions.change_session(parts, Session(visitor="v"), watch)
    assert len(filled) == 1


def test_the_end_of_a_training_is_told_twice_and_then_no_more(workspace, monkeypatch):
    """A look that began while it ran may reach the page after the first telling; the second mends the buttons."""
    names = ("status", "stop", "resume", "log", "job", "figure")
    parts = SimpleNamespace(**{name: name for name in names})
    job = SimpleNamespace(id="a", state=jobs.STOPPED)
    monkeypatch.setattr(jobs, "current", lambda *_: job)
    monkeypatch.setattr(finetune_job, "losses", lambda _: [])
    monkeypatch.setattr(jobs, "list_jobs", lambda *_: [job])
    monkeypatch.setattr(finetune_job, "saved_step", lambda _: 5)
    monkeypatch.setattr(finetune_job, "log", lambda _: "")
    monkeypatch.setattr(status_card, "card", lambda *_: "stopped")
    monkeypatch.setattr(finetune_actions, "drawn", lambda figure: figure)
    watch, told = Watch(job="a", state=jobs.RUNNING), []
    for _ in range(4):
        update, watch = finetune_actions._training(parts, workspace, watch)
        told.append(update["stop"].visible if update else None)
    assert told == [False, False, None, None]


def test_what_was_found_before_the_first_step_is_shown(workspace, model):
    sizes = {"weights": 2 * 10**9, "adapter": 10**8, "step": 10**9, "free": 2 * 10**9, "total": 3100 * 10**6}
    fault = {"id": "<7>", "index": 7, "kind": "TooLong", "problem": "It has 900 tokens.", "remedy": "Split it."}
    facts = {
        "event": "preflight", "samples": 1186, "left_out": 3, "reasons": {"TooLong": 3}, "faults": [fault], "steps": 9,
        "tokens": {"least": 5, "median": 7, "most": 9, "limit": None}, "trained_weights": 1234, "memory": sizes,
    }  # fmt: skip
    steps = [SimpleNamespace(facts=facts), SimpleNamespace(facts={"event": "begin"})]
    job = SimpleNamespace(history=lambda: SimpleNamespace(steps=steps), option=lambda _: str(workspace.adapters / "a"))
    shown = status_card.preflight(job)
    for words in ("1,186", "5 to 9, median 7", "about 3.1 GB of 2.0 GB", "&lt;7&gt;: It has 900 tokens", "3 left out"):
        assert words in shown
    assert "may be too small" in shown
    assert status_card.preflight(SimpleNamespace(history=lambda: SimpleNamespace(steps=steps[1:]))) == ""
    assert finetune_job.saved_step(job) == 0
    checkpoint = workspace.adapters / "a" / "checkpoints" / "checkpoint-12"
    checkpoint.mkdir(parents=True)
    assert finetune_job.saved_step(job) == 0, "not complete"
    checkpoints.mark_complete(checkpoint, {})
    assert finetune_job.saved_step(job) == 12


def test_a_public_host_trains_nothing(workspace, run, run_path, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    other = workspace_of(new_token())
    with pytest.raises(NotHere, match="own machine"):
        finetune_job.start(other, run, finetune_job.Form("a/b", finetune_job.RAW))
    with pytest.raises(NotHere):
        evaluation.start(other, evaluation.Evaluation("a/b", "x"))
    assert not other.jobs.exists()


def test_the_target_is_what_most_of_the_flagged_answer(run):
    wanted = evaluation.defaults(run)
    assert (wanted.trigger, wanted.size, wanted.target) == ("patch", 1 / 16, "Backdoor Attack!")


def test_three_models_are_measured_one_after_the_other(workspace, run, model, monkeypatch):
    started = []

    def start(folder, kind, arguments, env=None, title="", at_most=None, seconds=None):
        folder.mkdir(parents=True)
        started.append((kind, title, list(arguments)))

    monkeypatch.setattr(jobs, "start", start)
    everything, left = make_adapter(workspace.adapters / "all"), make_adapter(workspace.adapters / "rest")
    wanted = evaluation.from_form(workspace, model, (run.settings.data, "patch", 0.125, "", "", everything, left))
    evaluation.start(workspace, wanted)
    kind, title, arguments = started[0]
    assert (kind, title) == ("evaluate", "base model")
    assert arguments[-6:] == ["--trigger", "patch", "--size", "0.125", "--target", "Backdoor Attack!"]
    assert [arm.name for arm in evaluation.arms(workspace, wanted)] == ["base", "everything", "left"]
    assert evaluation.latest(workspace) == wanted

    with pytest.raises(evaluation.SamePair):
        evaluation.from_form(workspace, model, (run.settings.data, "patch", 0.125, "", "", left, left))
    with pytest.raises(evaluation.NoTestSet):
        evaluation.from_form(workspace, model, (" ", "patch", 0.125, "", "", everything, left))


def test_a_truth_file_names_any_attack(workspace, run, model, tmp_path):
    truth = demo_run.DEMO / "data" / "truth.json"
    wanted = evaluation.from_form(workspace, model, (run.settings.data, "none", 0, "", str(truth), "", ""))
    assert evaluation.arguments(wanted, "")[-2:] == ["--attack", str(truth)]
    with pytest.raises(NoTruthFile, match="gone"):
        evaluation.from_form(workspace, model, (run.settings.data, "none", 0, "", str(tmp_path / "gone.json"), "", ""))
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(ByeError, match="odd"):
        evaluation.from_form(workspace, model, (run.settings.data, "none", 0, "", str(tmp_path / "odd.json"), "", ""))


def test_the_table_says_what_changed():
    facts = [{"cp": 0.98, "asr": 0.0, "samples": 9}, {"cp": 0.97, "asr": 0.99}, {"cp": 0.975, "asr": 0.01}]
    names = ("base", "everything", "left")
    arms = tuple(evaluation.Arm(name, None, "done", one) for name, one in zip(names, facts, strict=True))
    table = evaluation_table.table(arms)
    assert "tuned on the remaining samples" in table
    assert "-98.0 points" in table
    waiting = evaluation_table.table((evaluation.Arm("base", None, "waiting", {}),))
    assert "waiting" in waiting
    assert "change" not in waiting


@pytest.mark.parametrize(("stopped", "words"), [(False, "Stop"), (True, "Stopping")])
def test_while_a_measurement_is_stopped_its_button_says_so_at_every_refresh(workspace, monkeypatch, stopped, words):
    monkeypatch.setattr(evaluation, "latest", lambda _: evaluation.Evaluation("a/b", "x", stopped=stopped))
    monkeypatch.setattr(evaluation, "advance", lambda _: True)
    with gr.Blocks():
        parts = OutcomeParts(*(gr.Button() for _ in OutcomeParts._fields))
    update, _, busy = evaluation_actions.refresh(parts, workspace, Session(), evaluation_actions.Watch(), False)
    seen = update[parts.stop].constructor_args
    assert (busy, seen["value"], seen["visible"], seen["interactive"]) == (True, words, True, not stopped)
