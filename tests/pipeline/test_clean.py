"""`clean`: the stages in a row, stopped anywhere and gone on, compared with a baseline, and refused where it must be.

Training is stood in for by an untrained adapter, but for the one test that kills the command: it has its own tests.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from bye_core import pipeline, runs
from bye_core.attacks import make_attack
from bye_core.attacks.poison import choose_samples
from bye_core.cli import main
from bye_core.cli.main import build_parser
from bye_core.cli.training import cleaning_of
from bye_core.data import load_dataset
from bye_core.detect import DETECTORS
from bye_core.pipeline import cleaning, cleaning_folder
from bye_core.pipeline.cleaning_folder import CleaningOutline
from bye_core.records import Progress, Sample, Turn
from bye_core.runs.errors import RunBusy
from bye_core.train.settings import CARD, settings_arguments
from tests.models.tiny import save_tiny
from tests.pipeline.stages import stage
from tests.pipeline.test_stages import COUNT, last, write_set
from tests.train.tiny_adapter import save_tiny_adapter

SETTINGS = pipeline.FinetuneSettings(rank=2, device="cpu", dtype="float32")
ALL = [
    *("finetune suspect", "scan", "detect", "export", "finetune cleaned", "finetune random"),
    *("evaluate base", "evaluate suspect", "evaluate random", "evaluate cleaned", "report", "clean"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    return save_tiny_adapter(model, tmp_path_factory.mktemp("adapter") / "a", SETTINGS)


@pytest.fixture
def tuned(adapter, monkeypatch):
    """The trainings that were begun; detection finds something, whatever the random model looks at."""
    begun, detect = [], stage("clean").detect_run

    def finetune(model, data, out, settings, reading):
        begun.append(out.parent.name if out.name == "adapter" else out.name)
        yield Progress("finetune", 1, 2, facts={"loss": 1.0})
        shutil.copytree(adapter, out)
        (out / "progress.jsonl").write_text('{"event": "step", "step": 1, "steps": 1, "loss": 1.0}\n')
        (out / CARD).write_text(json.dumps({"data_digest": load_dataset(data).digest}))
        yield Progress("finetune", 2, 2, facts={"loss": 0.5})

    monkeypatch.setattr(stage("clean"), "finetune", finetune)
    monkeypatch.setattr(stage("clean"), "detect_run", lambda run, method: detect(run, method, tau=0))
    return begun


@pytest.fixture
def wanted(model, tmp_path):
    data, test = write_set(tmp_path / "raw"), write_set(tmp_path / "test", 4)
    more = {"test": str(test), "attack": make_attack(["patch"]), "baselines": ("none", "random"), "seed": 3}
    return pipeline.Cleaning(str(model), str(data), SETTINGS, "bye", **more)


def test_all_stages_and_none_twice(tuned, wanted, tmp_path, monkeypatch):
    out = tmp_path / "out"
    steps = list(pipeline.clean(wanted, out))
    assert list(dict.fromkeys(step.stage for step in steps)) == ALL
    assert (*CleaningOutline.of(wanted, out).stages(), "clean") == tuple(ALL)
    assert CleaningOutline.of(wanted, out).finished() == set(ALL) - {"clean"}
    assert tuned == ["suspect", "cleaned", "random"]
    facts = steps[-1].facts
    assert facts["verdict"] == "poisoned"
    assert facts["kept"] == COUNT - facts["flagged"] == len(load_dataset(out / "data").samples)
    assert facts["adapter"] == str(out / "cleaned")
    assert list(facts["models"]) == ["base", "suspect", "random", "cleaned"]
    assert facts["models"]["base"]["asr_samples"] == 4
    dropped = [json.loads(line)["id"] for line in (out / "random/data/removed.jsonl").read_text().splitlines()]
    assert len(dropped) == round(0.2 * COUNT)
    assert len((out / "evaluation/base.jsonl").read_text().splitlines()) == 4

    page, report = (out / "report.html").read_text(), json.loads((out / "report.json").read_text())
    assert "tuned on the remaining samples" in page
    assert report["cleaning"]["data_digest"] == load_dataset(wanted.data).digest
    assert report["cleaning"]["settings"]["rank"] == 2
    assert {row["decision"] for row in report["flagged"]} == {"reject"}
    assert report["models"]["cleaned"]["cp_interval"] == list(facts["models"]["cleaned"]["cp_interval"])

    monkeypatch.setattr(stage("clean"), "evaluate", None)
    assert last(pipeline.clean(wanted, out)).facts == facts
    assert len(tuned) == 3


def test_stopped_in_every_stage_it_goes_on(tuned, wanted, tmp_path, monkeypatch):
    def evaluate(model, data, adapter, attack, seed, **more):
        yield Progress("evaluate", 4, 8)
        yield Progress("evaluate", 8, 8, facts={"cp": 1.0, "samples": 4})

    monkeypatch.setattr(stage("clean"), "evaluate", evaluate)
    out, seen = tmp_path / "out", []
    while "clean" not in seen:
        steps = pipeline.clean(wanted, out)
        for step in steps:
            if step.stage not in seen:
                seen.append(step.stage)
                break
        steps.close()
    assert seen == ALL
    assert tuned == ["suspect", "suspect", "cleaned", "cleaned", "random", "random"], "an unfinished one is begun anew"
    assert last(pipeline.clean(wanted, out)).facts["verdict"] == "poisoned"


def test_without_evidence_nothing_is_removed(tuned, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(stage("clean"), "detect_run", lambda run, method: pipeline.detect_run(run, method, tau=1e9))
    out, data = tmp_path / "out", str(write_set(tmp_path / "enough", DETECTORS["bye"].fewest))
    facts = last(pipeline.clean(pipeline.Cleaning(wanted.model, data, SETTINGS, "bye"), out)).facts
    assert (facts["verdict"], facts["flagged"], facts["models"]) == ("no_evidence", 0, {})
    assert "not_tested" not in facts
    assert facts["adapter"] == str(out / "suspect")
    assert tuned == ["suspect"]
    assert not (out / "data").exists()
    assert "No evidence of poisoning" in (out / "report.html").read_text()


def test_too_few_samples_are_not_called_clean(tuned, wanted, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stage("clean"), "detect_run", lambda run, method: pipeline.detect_run(run, method, tau=1e9))
    out = tmp_path / "out"
    facts = last(pipeline.clean(pipeline.Cleaning(wanted.model, wanted.data, SETTINGS, "bye"), out)).facts
    assert (facts["verdict"], facts["flagged"]) == ("not_tested", 0)
    assert f"only {COUNT} samples" in facts["not_tested"][0]
    page = (out / "report.html").read_text()
    assert "Not tested" in page
    assert "No evidence" not in page
    resumed = ["clean", "--model", wanted.model, "--data", wanted.data, "--out", str(out), "--method", "bye"]
    options = settings_arguments(SETTINGS)
    assert main.main([*resumed, *options, "--fail-on-poison"]) == 4
    assert f"only {COUNT} samples" in capsys.readouterr().out
    assert main.main([*resumed, *options]) == 0


def test_what_a_person_decided_meanwhile_stands(tuned, wanted, tmp_path):
    out, plain = tmp_path / "out", pipeline.Cleaning(wanted.model, wanted.data, SETTINGS, "bye")
    for step in (steps := pipeline.clean(plain, out)):
        if step.stage == "detect":
            break
    steps.close()
    flagged = runs.Run.open(out / "run").detection().flagged_ids
    pipeline.decide(out / "run", {flagged[0]: "accept"}, reviewer="me")
    facts = last(pipeline.clean(plain, out)).facts
    assert facts["kept"] == COUNT - len(flagged) + 1

    pipeline.decide(out / "run", {flagged[0]: "reject"}, reviewer="me")
    with pytest.raises(stage("clean").StaleAdapter, match="another selection"):
        last(pipeline.clean(plain, out))


def test_another_model_set_or_setting_is_refused_another_device_is_not(tuned, wanted, tmp_path, model):
    out = tmp_path / "out"
    first = pipeline.clean(wanted, out)
    next(first)
    with pytest.raises(RunBusy, match="is writing to"):
        next(pipeline.clean(wanted, out))
    first.close()

    def refused(reason, **changed):
        with pytest.raises(cleaning_folder.CleaningMismatch, match=reason):
            next(pipeline.clean(pipeline.Cleaning(**{**vars(wanted), **changed}), out))

    refused("data digest", data=str(write_set(tmp_path / "other", 3)))
    refused("rank 2, now 4", settings=pipeline.FinetuneSettings(rank=4, device="cpu", dtype="float32"))
    other = shutil.copytree(model, tmp_path / "model")
    config = json.loads((other / "generation_config.json").read_text())
    (other / "generation_config.json").write_text(json.dumps({**config, "max_length": 7}))
    refused("model digest", model=str(other))
    moved = {"settings": pipeline.FinetuneSettings(rank=2, dtype="float32"), "test": None, "attack": None}
    next(pipeline.clean(pipeline.Cleaning(**{**vars(wanted), **moved}), out))
    (out / cleaning_folder.RECORD).write_text("{")
    with pytest.raises(cleaning_folder.DamagedCleaning):
        next(pipeline.clean(wanted, out))


def test_settings_that_make_no_sense(model):
    with pytest.raises(cleaning.AttackWithoutTest):
        pipeline.Cleaning("m", "d", attack=make_attack(["patch"]))
    with pytest.raises(cleaning.NoSuchBaseline, match="none, random"):
        pipeline.Cleaning("m", "d", baselines=("magic",))


def test_killed_it_goes_on_with_real_trainings(model, tmp_path, capsys):
    data, out = write_set(tmp_path / "raw"), tmp_path / "out"
    small = ["--epochs", "1", "--batch", "12", "--micro-batch", "12", "--rank", "2", "--device", "cpu"]
    command = ["clean", "--model", str(model), "--data", str(data), "--out", str(out), *small]
    child = subprocess.Popen([sys.executable, "-m", "bye_core", *command], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (out / "suspect" / CARD).exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    card = (out / "suspect" / CARD).read_bytes()
    assert not (out / "report.html").exists()
    code = main.main([*command, "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (out / "suspect" / CARD).read_bytes() == card
    assert facts["samples"] == COUNT
    assert json.loads((out / "report.json").read_text())["verdict"] == facts["verdict"]


def test_a_random_drop_does_not_follow_what_the_same_seed_poisoned():
    """Both draw from one list by a seed that is 0 unless somebody says otherwise: the drop must not be a cure."""
    turns = (Turn("user", (0, "What?")), Turn("assistant", ("red",)))
    samples = [Sample(str(n), n, turns, ("a.png",)) for n in range(1000)]
    for seed in range(3):
        poisoned = set(choose_samples(samples, 0.1, seed, make_attack(["patch"])))
        dropped = {str(n) for n in stage("clean").random_drop(len(samples), seed)}
        assert len(dropped) == 200
        assert 5 <= len(poisoned & dropped) <= 40, "20 are to be expected"


def test_auto_has_the_answers_read_unless_there_is_a_scan_without_them(tuned, wanted, tmp_path):
    def scanned(name, **changed):
        for step in pipeline.clean(replace(wanted, run=tmp_path / name, **changed), tmp_path / f"{name}-{changed}"):
            if step.stage == "scan" and step.done == step.total:
                break
        return runs.Run.open(tmp_path / name).settings.answers

    assert scanned("one", method="auto")
    assert not scanned("two", method="bye")
    assert not scanned("two", method="auto"), "goes on with the scan that is there"


def test_without_a_method_a_cleaning_goes_on_with_its_own(tmp_path):
    def method(*options):
        command = ["clean", "--model", "m", "--data", "d", "--out", str(tmp_path), *options]
        return cleaning_of(build_parser().parse_args(command)).method

    assert method() == "auto"
    (tmp_path / "clean.json").write_text('{"method": "bye", "settings": {}}')
    assert method() == "bye"
    assert method("--method", "tcap") == "tcap"


def test_until_the_detection_nothing_is_rejected_and_the_rest_resumes_there(tuned, wanted, tmp_path):
    check, out = replace(wanted, until="detect", test=None, attack=None, baselines=()), tmp_path / "out"
    steps = list(pipeline.clean(check, out))
    assert list(dict.fromkeys(step.stage for step in steps)) == ["finetune suspect", "scan", "detect", "clean"]
    assert steps[-1].facts["verdict"] == "poisoned"
    assert not runs.Run.open(out / "run").decisions()
    outline = CleaningOutline.from_arguments(replace(check, seed=0).arguments(out))
    assert outline.stages() == ("finetune suspect", "scan", "detect")
    assert outline.finished() == set(outline.stages())
    list(pipeline.clean(replace(check, until="report"), out))
    assert tuned == ["suspect", "cleaned"]
    assert runs.Run.open(out / "run").decisions()
