"""`detect --confirm`: a model before and after fine-tuning is asked about a few samples of each finding."""

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from bye_core import pipeline, runs
from bye_core.cli.main import main
from bye_core.data import DataSet
from bye_core.data.text_files import NotReadable
from bye_core.evidence.confirmation import AGREES, CONFIRMED, OPEN, confirmation_sentence, judge_confirmation
from bye_core.pipeline import confirm
from bye_core.pipeline.confirm import NothingBefore, confirm_detection, with_outcomes
from bye_core.records import NO_EVIDENCE, NOT_TESTED, POISONED, Finding, Limitation
from tests.pipeline.test_causal_check import CENTRE, StandIn, prepare


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"plain": "one", "covered": "Three.", "elsewhere": "one"}, CONFIRMED),
        ({"plain": "one", "without": "three", "others": "one"}, CONFIRMED),
        ({"plain": "one", "covered": "one", "elsewhere": "one", "without": "three", "others": "one"}, CONFIRMED),
        ({"plain": "one", "covered": "three", "elsewhere": "three"}, OPEN),
        ({"plain": "one", "covered": "two", "elsewhere": "one"}, OPEN),
        ({"plain": "one", "covered": "one", "elsewhere": "one"}, OPEN),
        ({"plain": "one", "covered": "three"}, OPEN),
        ({"plain": "three", "covered": "three", "elsewhere": "three"}, AGREES),
        ({}, OPEN),
    ],
)
def test_the_earlier_answer_must_come_back_and_only_without_the_spot(given, outcome):
    assert judge_confirmation(given, "three") == outcome


def ready(folder, monkeypatch, **found):
    """A run whose flagged images have a white square, to which only the tuned model reacts; its detection is saved."""
    run, _ = prepare(folder, monkeypatch, [CENTRE])
    detection = run.detection()
    stand_in = StandIn(run)

    class Loaded:
        device = type("Device", (), {"type": "cpu"})
        tuned = True

        @contextmanager
        def before_fine_tuning(self):
            self.tuned = False
            yield self
            self.tuned = True

    def generate(loaded, samples, pictures, size):
        for (answer,) in stand_in.generate(loaded, samples, pictures, size):
            yield [answer if loaded.tuned else replace(answer, given="nothing")]

    monkeypatch.setattr("bye_core.models.calls.generate_answers", generate)
    monkeypatch.setattr(confirm, "load_scanned", lambda *_, **__: Loaded())
    opened = runs.Run.open

    def open_with_adapter(path):
        one = opened(path)
        one.settings = replace(one.settings, adapter="adapter", adapter_digest="0" * 64)
        return one

    monkeypatch.setattr(runs.Run, "open", open_with_adapter)
    run.save_detection(replace(detection, **found))
    return run, detection


def test_each_finding_gets_a_sentence_and_stays_flagged(tmp_path, monkeypatch):
    run, first = ready(tmp_path, monkeypatch)
    finding = Finding("A group", first.flagged_ids, ("It is odd.",))
    run.save_detection(replace(first, findings=(finding,)))
    steps = list(confirm_detection(run.path, 4))
    assert [step.done for step in steps] == [0, 4]
    again = runs.Run.open(run.path).detection()
    (confirmed,) = again.findings
    assert confirmed.reasons == ("It is odd.", confirmation_sentence([CONFIRMED] * 4))
    assert confirmed.reasons[-1] in again.reasons
    assert again.flagged_ids == first.flagged_ids


def test_a_sample_whose_image_does_not_open_is_left_out(tmp_path, monkeypatch):
    run, first = ready(tmp_path, monkeypatch)
    run.save_detection(replace(first, findings=(Finding("A group", first.flagged_ids, ()),)))
    opened, broken = DataSet.images, first.flagged_ids[0]

    def images(dataset, sample):
        if sample.id == broken:
            raise NotReadable(path="gone.png", why="it is gone")
        return opened(dataset, sample)

    monkeypatch.setattr(DataSet, "images", images)
    list(confirm_detection(run.path, 4))
    (confirmed,) = runs.Run.open(run.path).detection().findings
    assert confirmed.reasons == (confirmation_sentence([CONFIRMED] * 3),)


def test_confirmed_suspects_are_flagged(tmp_path, monkeypatch):
    run, first = ready(tmp_path, monkeypatch)
    nothing = np.zeros(len(first.ids), bool)
    suspects = first.flagged_ids
    run.save_detection(
        replace(first, verdict=NO_EVIDENCE, flagged=nothing, scores=first.scores * 0.49, suspects=suspects)
    )
    list(confirm_detection(run.path, 6))
    again = runs.Run.open(run.path).detection()
    assert (again.verdict, again.flagged_ids, again.suspects) == (POISONED, suspects, ())
    assert again.findings[-1].name == "Suspects that the causal check confirms"
    assert (again.scores[again.flagged] >= 0.5).all()


def test_suspects_that_are_not_confirmed_stay_suspects(tmp_path, monkeypatch):
    run, first = ready(tmp_path, monkeypatch)
    nothing = np.zeros(len(first.ids), bool)
    others = tuple(id for id in first.ids if id not in first.flagged_ids)[:5]
    run.save_detection(replace(first, verdict=NO_EVIDENCE, flagged=nothing, suspects=others))
    list(confirm_detection(run.path, 5))
    again = runs.Run.open(run.path).detection()
    assert (again.verdict, again.flagged.any(), again.suspects) == (NO_EVIDENCE, False, others)
    assert "for 5, fine-tuning did not change the answer" in again.reasons[-1]


@pytest.mark.parametrize(
    ("outcomes", "flagged"), [([CONFIRMED] * 2, 0), ([CONFIRMED] * 3 + [OPEN] * 4, 0), ([CONFIRMED] * 3, 5)]
)
def test_a_few_confirmed_suspects_do_not_suffice(tmp_path, monkeypatch, outcomes, flagged):
    _, first = ready(tmp_path, monkeypatch)
    suspects = replace(first, flagged=np.zeros(len(first.ids), bool), verdict=NO_EVIDENCE, suspects=first.ids[:5])
    assert with_outcomes(suspects, [outcomes]).flagged.sum() == flagged


def test_nothing_to_ask_loads_no_model(tmp_path, monkeypatch):
    run, _ = ready(tmp_path, monkeypatch)
    monkeypatch.setattr(confirm, "load_scanned", None)
    assert [step.total for step in confirm_detection(run.path, 5)] == [0]


def test_without_an_adapter_or_a_run_it_says_what_is_missing(tmp_path, monkeypatch, capsys):
    run, _ = prepare(tmp_path, monkeypatch, [CENTRE])
    with pytest.raises(NothingBefore):
        list(confirm_detection(run.path, 5))
    file = tmp_path / "entropies.jsonl"
    file.write_text('{"question_id": "a", "answer": "b", "entropy": {"0": 1.0}}\n', encoding="utf-8")
    assert main(["detect", "--entropy", str(file), "--confirm", "3"]) == 1
    assert "leave out --confirm" in capsys.readouterr().err


def test_the_command_prints_the_outcome(tmp_path, monkeypatch, capsys):
    run, first = ready(tmp_path, monkeypatch)
    monkeypatch.setattr(pipeline, "detect_run", lambda *_, **__: first)
    run.save_detection(replace(first, findings=(Finding("A group", first.flagged_ids, ()),)))
    assert main(["detect", "--run", str(run.path), "--confirm", "3"]) == 0
    assert "Causal check of 3 of these samples: for 3" in capsys.readouterr().out


UNTESTED = (
    Limitation("not_learned", "An answer is not learned.", "Fine-tune for more epochs.", True),
    Limitation("other_data", "Another set.", "Fine-tune.", True),
)


def test_the_command_keeps_the_outcome_of_a_set_that_was_not_tested(tmp_path, monkeypatch, capsys):
    run, first = ready(tmp_path, monkeypatch)
    nothing = np.zeros(len(first.ids), bool)
    untested = replace(
        first, verdict=NOT_TESTED, flagged=nothing, suspects=first.flagged_ids[:2], limitations=UNTESTED, findings=()
    )
    monkeypatch.setattr(pipeline, "detect_run", lambda *_, **__: untested)
    run.save_detection(untested)
    assert main(["detect", "--run", str(run.path), "--confirm", "3", "--json"]) == 0
    stated = json.loads(capsys.readouterr().out)
    assert stated["verdict"] == NOT_TESTED
    assert any("Causal check of 2 of these samples: for 2" in reason for reason in stated["reasons"])


def test_confirmed_suspects_leave_only_the_reasons_for_doubt(tmp_path, monkeypatch):
    _, first = ready(tmp_path, monkeypatch)
    untested = replace(
        first, verdict=NOT_TESTED, flagged=np.zeros(len(first.ids), bool), suspects=first.ids[:5], limitations=UNTESTED
    )
    found = with_outcomes(untested, [[CONFIRMED] * 3])
    assert (found.verdict, [one.kind for one in found.limitations]) == (POISONED, ["other_data"])
