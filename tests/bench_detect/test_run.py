"""A bench over a tiny random model: stopped anywhere, gone on, nothing done twice, failures told.

Training is stood in for by an untrained adapter, but for the one test that runs the command.
"""

import json
import shutil

import pytest

from bye_core import pipeline
from bye_core.bench import cell as work
from bye_core.bench import detections, results
from bye_core.bench.evidence_score import score_evidence, touches
from bye_core.bench.matrix import Matrix
from bye_core.bench.run import bench
from bye_core.bench.seeds import ForeignSeed
from bye_core.cli import main
from bye_core.data import load_dataset
from bye_core.demo.recipe import FAMILY_SEED, FREE_SEED
from bye_core.errors import ByeError
from bye_core.records import Progress
from bye_core.runs.lock import locked
from bye_core.train.settings import CARD
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import last
from tests.train.tiny_adapter import save_tiny_adapter

MATRIX = Matrix("report", ("patch", "clean"), samples=(8,), epochs=1.0, test=2)
STAGES = ["draw", "poison", "finetune", "evaluate", "scan"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    settings = pipeline.FinetuneSettings(rank=2, device="cpu")
    return save_tiny_adapter(model, tmp_path_factory.mktemp("adapter") / "a", settings)


@pytest.fixture
def tuned(adapter, monkeypatch):
    """Names of the cells whose training was begun."""
    begun = []

    def finetune(model, data, out, settings):
        begun.append(out.parent.name)
        yield Progress("finetune", 1, 2)
        shutil.copytree(adapter, out)
        (out / "progress.jsonl").write_text('{"event": "done", "step": 2, "steps": 2, "seconds": 1.5}\n')
        (out / CARD).write_text(json.dumps({"steps": 2, "loss": 0.5}))
        yield Progress("finetune", 2, 2)

    monkeypatch.setattr(pipeline, "finetune", finetune)
    return begun


def test_one_json_and_one_table_of_all_cells_and_nothing_twice(tuned, model, tmp_path, monkeypatch):
    steps = bench(model, MATRIX, tmp_path)
    next(step for step in steps if (step.stage, step.done) == ("cells", 1))
    steps.close()
    assert len(json.loads((tmp_path / "report" / results.RESULTS).read_text())["rows"]) == 1, "that of what is done"
    facts = last(bench(model, MATRIX, tmp_path)).facts
    patch, clean = facts["rows"]
    assert (facts["failed"], facts["pending"]) == ({}, [])
    assert (patch["poisoned"], patch["scan"]["scored"], patch["tuned"]["asr_samples"]) == (1, 8, 2)
    assert (clean["poisoned"], clean["attack"], clean["tuned"].get("asr")) == (0, None, None)
    assert patch["base"]["cp_samples"] == patch["tuned"]["cp_samples"] == 2
    assert patch["training"] == {"steps": 2, "loss": 0.5, "seconds": 1.5}
    assert set(patch["detectors"]) == set(clean["detectors"]) == set(detections.DETECTORS)
    assert patch["detectors"]["bye"]["samples"] == 8
    truth = json.loads((tmp_path / "report/cells" / patch["name"] / "data/truth.json").read_text())
    assert patch["detectors"]["bye"]["tp"] + patch["detectors"]["bye"]["fn"] == len(truth["poisoned"])
    written = json.loads((tmp_path / "report" / results.RESULTS).read_text())
    assert written["rows"] == facts["rows"]
    table = (tmp_path / "report" / results.TABLE).read_text()
    assert all(name in table for name in ("| patch |", "| clean |", *detections.DETECTORS))

    monkeypatch.setattr(pipeline, "evaluate", None)
    monkeypatch.setattr(pipeline, "detect_run", None)
    assert last(bench(model, MATRIX, tmp_path)).facts["rows"] == facts["rows"]
    assert len(tuned) == 2


def test_the_model_for_free_questions_is_made_once(tuned, model, tmp_path, monkeypatch):
    matrix, made = Matrix("dev", ("patch", "clean"), mixes=("free",), samples=(10,), epochs=1.0, test=2), []

    def make(base, out, seed, log):
        made.append((base, seed))
        (shutil.copytree(model, out) / "notes.json").write_text(json.dumps("another digest"))

    assert last(bench(model, matrix, tmp_path / "other")).facts["failed"] == {}
    monkeypatch.setattr("bye_core.demo.base_model.make_free_base", make)
    monkeypatch.setattr("bye_core.bench.run.DEMO", tmp_path)
    demo = shutil.copytree(model, tmp_path / "model")
    for _ in range(2):
        facts = last(bench(demo, matrix, tmp_path)).facts
        assert (facts["failed"], len(facts["rows"])) == ({}, 2)
    assert made == [(demo, FREE_SEED)]
    questions = {sample.question for sample in load_dataset(tmp_path / "dev/sets/free-n10-s1000").samples}
    assert len(questions) > 8


def test_the_base_model_of_another_family_is_made_once(tuned, model, tmp_path, monkeypatch):
    families, made = ("llava", "internvl"), []
    matrix = Matrix("dev", ("patch",), samples=(8,), epochs=1.0, test=2, families=families)

    def make(out, seed, license_text, log, family):
        made.append((family, seed))
        (shutil.copytree(model, out) / "notes.json").write_text(json.dumps("another digest"))

    monkeypatch.setattr("bye_core.demo.base_model.make_base", make)
    for _ in range(2):
        facts = last(bench(model, matrix, tmp_path / "out")).facts
        assert (facts["failed"], [row["cell"].get("family") for row in facts["rows"]]) == ({}, [None, "internvl"])
    assert made == [("internvl", FAMILY_SEED)]
    assert "| patch (internvl) |" in (tmp_path / "out/dev" / results.TABLE).read_text()


def test_stopped_in_every_stage_it_goes_on(tuned, model, tmp_path):
    matrix, seen = Matrix("dev", ("patch",), samples=(8,), epochs=1.0, test=2), []
    while "bench" not in seen:
        steps = bench(model, matrix, tmp_path)
        for step in steps:
            stage = step.stage.partition(" ")[0]
            if stage not in seen:
                seen.append(stage)
                break
        steps.close()
    assert seen == ["cells", *STAGES, "detect", "results", "bench"]
    assert len(tuned) == 2, "one that was stopped is begun again, a finished one is not"


def test_a_cell_shares_a_part_with_a_square_or_not():
    square = (98, 98, 126, 126)
    assert touches((5 / 12, 5 / 12, 6 / 12, 6 / 12), [square], 224)
    assert not touches((4 / 12, 5 / 12, 5 / 12, 6 / 12), [square], 224), "its right edge is at 93.3 pixels"
    assert touches((4 / 12, 5 / 12, 5 / 12, 6 / 12), [(0, 0, 9, 9), (90, 98, 94, 126)], 224)
    assert not touches((0, 0, 0.5, 0.5), [(112, 112, 224, 224)], 224), "edges alone are no part"


def test_what_the_evidence_names_is_held_against_the_truth(tmp_path, monkeypatch):
    def found(target, cell):
        told = {"target": target and {"text": target}, "looks": {"1": {"cell": cell}, "7": {"cell": (0, 0, 1, 1)}}}
        monkeypatch.setattr(pipeline, "evidence", lambda run: told)
        return score_evidence(tmp_path)

    truth = {
        "poisoned": ["1"],
        "attack": {"target": {"text": "Backdoor Attack!"}},
        "samples": {"1": {"boxes": [[98, 98, 126, 126]]}},
    }
    work.write_json(tmp_path / "data/truth.json", truth)
    assert found("backdoor attack!", (0.45, 0.45, 0.5, 0.5)) == {
        "target": "backdoor attack!", "target_right": True, "on_trigger": 1.0,
    }  # fmt: skip
    assert found("two", (0.0, 0.0, 0.1, 0.1)) == {"target": "two", "target_right": False, "on_trigger": 0.0}
    work.write_json(tmp_path / "data/truth.json", {**truth, "poisoned": [], "samples": {}})
    assert found(None, (0, 0, 1, 1)) == {"target": None, "target_right": None, "on_trigger": None}


def test_training_and_test_pictures_differ_by_seed_and_purpose(tuned, model, tmp_path):
    def pictures(folder):
        return {path.name for path in (folder / "images").iterdir()}

    for purpose in ("dev", "report"):
        last(bench(model, Matrix(purpose, ("clean",), samples=(8,), epochs=1.0, test=2), tmp_path))
    sets = [path for path in tmp_path.glob("*/sets/*") if path.is_dir()]
    assert len(sets) == 4
    assert len(set().union(*map(pictures, sets))) == sum(len(pictures(folder)) for folder in sets) == 2 * (8 + 1)
    test = next(folder for folder in sets if folder.name == "mixed-t2-s2000")
    assert len(load_dataset(test).samples) == 2


def test_a_cell_that_fails_or_is_worked_on_elsewhere_ends_nothing(tuned, model, tmp_path, monkeypatch):
    cells = [cell.name for cell in MATRIX.cells()]
    whole = pipeline.poison

    def poison(source, out, attack, rate, seed, **more):
        if rate:
            raise ByeError()
        return whole(source, out, attack, rate, seed, **more)

    monkeypatch.setattr(pipeline, "poison", poison)
    facts = last(bench(model, MATRIX, tmp_path)).facts
    assert list(facts["failed"]) == cells[:1]
    assert [row["name"] for row in facts["rows"]] == cells[1:]

    monkeypatch.setattr(pipeline, "poison", whole)
    with locked(tmp_path / "report/cells" / cells[0] / "cell.lock"):
        facts = last(bench(model, MATRIX, tmp_path)).facts
    assert (facts["failed"], facts["pending"]) == ({}, cells[:1])
    assert last(bench(model, MATRIX, tmp_path)).facts["pending"] == []


def test_another_model_is_refused_for_the_same_cell(model, tmp_path):
    cell = next(MATRIX.cells())
    begun = work.begin_cell(model, cell, tmp_path)
    assert work.begin_cell(model, cell, tmp_path) == begun
    other = shutil.copytree(model, tmp_path / "other")
    (other / "generation_config.json").write_text("{}")
    with pytest.raises(work.CellMismatch, match="with different settings: model digest"):
        work.begin_cell(other, cell, tmp_path)
    finished = work.folder_of(tmp_path, cell)
    work.write_json(finished / work.RECORD, begun)
    work.write_json(finished / work.DONE, {})
    assert list(work.run_cell(model, cell, tmp_path)) == []
    with pytest.raises(work.CellMismatch):
        list(work.run_cell(other, cell, tmp_path))


def test_results_are_refused_where_a_seed_is_for_the_other_purpose(tmp_path):
    cell = next(MATRIX.cells())
    work.write_json(tmp_path / "dev/cells" / cell.name / work.RECORD, {"cell": cell.record()})
    work.write_json(tmp_path / "dev/cells" / cell.name / work.DONE, {})
    with pytest.raises(ForeignSeed, match="dev contain the seed 2000"):
        last(results.collect_results(tmp_path / "dev"))
    assert [path.name for path in (tmp_path / "dev").iterdir()] == ["cells"]


def test_what_a_detector_refuses_is_told_and_its_code_decides_whether_it_is_asked_again(
    tuned, model, tmp_path, monkeypatch
):
    asked = []
    known = pipeline.detect_run

    class NeedsMore(ByeError):
        problem = "It needs the model before fine-tuning."

    def detect_run(run, method):
        asked.append(method)
        if method == "more":
            raise NeedsMore()
        return known(run, method)

    monkeypatch.setattr(pipeline, "detect_run", detect_run)
    monkeypatch.setattr(detections, "DETECTORS", {"bye": None, "more": None})
    facts = last(bench(model, MATRIX, tmp_path)).facts
    assert facts["rows"][0]["detectors"]["more"] == {"skipped": NeedsMore.problem}
    assert facts["summary"]["more"]["skipped"] == 2
    assert f"more, 2 of 2 cells: {NeedsMore.problem}" in (tmp_path / "report" / results.TABLE).read_text()
    before = list(asked)
    last(bench(model, MATRIX, tmp_path))
    assert asked == before
    monkeypatch.setattr(detections, "code_digest", lambda: "changed")
    last(bench(model, MATRIX, tmp_path))
    assert asked == 2 * before


def test_the_command_runs_the_quick_matrix_with_a_real_training(model, tmp_path, capsys):
    command = ["bench-detect", "--quick", "--attacks", "prefix+patch", "--model", str(model), "--out", str(tmp_path)]
    command += ["--samples", "10", "--test", "2"]
    assert main.main([*command, "--json", "--progress", "none"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"][0]["training"]["steps"] == 2
    assert facts["purpose"] == "dev"
    assert main.main([*command, "--progress", "none"]) == 0
    assert "prefix+patch" in capsys.readouterr().out
