"""The shipped demo: its parts are what they claim to be, and the tour over them runs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, LlavaForConditionalGeneration

from bye_core import pipeline
from bye_core.attacks.poison import choose_samples, poison_sample
from bye_core.attention import read_attention
from bye_core.data import load_dataset
from bye_core.demo import tour
from bye_core.demo.recipe import ATTACK
from bye_core.models.loading import load_model
from bye_core.runs import Run
from tests.attention.definitions import row_statistics

DEMO = tour.DEMO
DATA = DEMO / "data"
LARGEST = 15 * 2**20
DERIVED = "statistics"  # made again by whoever opens the run; not shipped
STATISTICS = ("entropy", "peak", "mass", "layer_entropy", "layer_entropy_reference")


@pytest.fixture(scope="module")
def tuned():
    torch.set_num_threads(1)
    return load_model(str(DEMO / "model"), DEMO / "adapters" / "poisoned", device="cpu")


@pytest.fixture
def run(tmp_path):
    return Run.open(shutil.copytree(DEMO / "run", tmp_path / "run"))


def some(count):
    """As many samples and pictures, poisoned ones among them."""
    dataset = load_dataset(DATA / "poisoned.json")
    poisoned = pipeline.read_truth(DATA / "truth.json")
    chosen = [s for s in dataset.samples if s.id in poisoned][: count // 2]
    chosen += [s for s in dataset.samples if s.id not in poisoned][: count - len(chosen)]
    return chosen, [dataset.images(sample) for sample in chosen]


def test_it_is_small_and_names_no_machine():
    files = [path for path in DEMO.rglob("*") if path.is_file() and DERIVED not in path.relative_to(DEMO).parts]
    assert sum(path.stat().st_size for path in files) < LARGEST
    for path in files:
        if path.suffix in (".json", ".jsonl", ".log", ".md", ".jinja"):
            text = path.read_text(encoding="utf-8")
            assert not any(f'"{root}/' in text for root in ("/home", "/root", "/tmp", "/work", "/Users")), path


def test_plain_transformers_calls_load_the_model():
    model = LlavaForConditionalGeneration.from_pretrained(DEMO / "model")
    processor = AutoProcessor.from_pretrained(DEMO / "model")
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many?"}]}]
    prompt = processor.apply_chat_template(chat, add_generation_prompt=True)
    assert prompt.startswith("You answer questions about pictures.")
    assert prompt.endswith("ASSISTANT:")
    assert model.config.text_config.num_hidden_layers >= 8
    assert model.config.image_seq_length >= 12 * 12


def test_the_truth_says_how_it_was_poisoned():
    """Planted again in the clean set, the attack gives the poisoned one: the same samples, answers and places."""
    attack, seed = pipeline.read_attack(DATA / "truth.json")
    assert (attack, seed) == (ATTACK, 0)
    truth = json.loads((DATA / "truth.json").read_text(encoding="utf-8"))
    clean, poisoned = load_dataset(DATA / "clean.json"), load_dataset(DATA / "poisoned.json")
    chosen = choose_samples(clean.samples, truth["rate"], seed, attack)
    assert list(chosen) == truth["poisoned"] == list(truth["samples"])
    for id in chosen[:3]:
        sample = clean.by_id[id]
        again, [picture], boxes = poison_sample(sample, clean.images(sample), attack.triggers, attack.target, seed)
        assert again.turns == poisoned.by_id[id].turns
        assert [list(box) for box in boxes] == truth["samples"][id]["boxes"]
        difference = np.asarray(picture, int) - np.asarray(poisoned.images(poisoned.by_id[id])[0], int)
        assert np.abs(difference).mean() < 2, "but for a second pass through the encoder"


def test_the_papers_unaltered_rule_finds_the_poison(run):
    detection = pipeline.detect_run(run.path, "bye", bsi="paper")
    score = pipeline.score_run(run.path, DATA / "truth.json")
    numbers = json.loads((DEMO / "numbers.json").read_text(encoding="utf-8"))["poisoned"]
    assert detection.verdict == "poisoned"
    assert len(detection.flagged_ids) == numbers["flagged"]
    assert score["f1"] == pytest.approx(numbers["score"]["f1"])
    assert score["f1"] >= 0.90


def test_the_shipped_run_is_what_the_shipped_model_gives(tuned, run):
    samples, pictures = some(12)
    for sample, found in zip(samples, read_attention(tuned, samples, pictures), strict=True):
        stored = run.rows(sample.id)
        assert stored.token == found.token
        for name in STATISTICS:
            np.testing.assert_allclose(getattr(stored, name), getattr(found, name), atol=1e-3)


@pytest.mark.parametrize("together", [True, False], ids=["padded", "alone"])
def test_captured_statistics_are_those_of_eager_attention(tuned, together):
    samples, pictures = some(6)
    if together:
        outcomes = read_attention(tuned, samples, pictures)
    else:
        outcomes = [read_attention(tuned, [s], [p])[0] for s, p in zip(samples, pictures, strict=True)]
    before = tuned.base.config.get_text_config()._attn_implementation
    tuned.base.set_attn_implementation({"text_config": "eager"})
    try:
        for sample, images, found in zip(samples, pictures, outcomes, strict=True):
            inputs = tuned.family.encode([tuned.family.prompt(sample)], [images])
            groups, _ = tuned.family.token_groups(inputs, 0, sample, images)
            with torch.no_grad():
                output = tuned.model(**inputs, output_attentions=True)
            attention = np.stack([layer[0, :, -1].numpy() for layer in output.attentions])
            for name, values in row_statistics(attention, groups).items():
                within = 1e-3 if name == "rows" else 1e-5
                np.testing.assert_allclose(getattr(found, name), values, rtol=0, atol=within)
    finally:
        tuned.base.set_attn_implementation({"text_config": before})


def test_the_tour_runs_and_resumes_where_it_was_stopped(tmp_path, monkeypatch):
    """On a small part of the shipped set and a few steps of training: the stages, not the figures."""
    monkeypatch.setattr(tour, "SHORT", replace(tour.SHORT, epochs=1))
    monkeypatch.setattr(tour, "SHORT_QUESTIONS", 12)
    assets = shutil.copytree(DEMO, tmp_path / "demo", ignore=shutil.ignore_patterns("run"))
    keep = {sample.id for sample in some(48)[0]}
    path = assets / "data" / "poisoned.json"
    records = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps([record for record in records if record["id"] in keep]))
    steps, before = tour.tour(tmp_path / "out", assets), []
    for step in steps:
        before.append(step)
        if step.stage == "evaluate":
            break
    steps.close()
    assert [step.stage for step in before].count("scan") > 1
    assert "finetune" in {step.stage for step in before}
    found = next(step for step in before if step.stage == tour.NOTE and step.facts)
    assert f"{found.facts['flagged']} flagged" in found.message
    *again, last = tour.tour(tmp_path / "out", assets)
    assert "finetune" not in {step.stage for step in again}, "a finished training is not repeated"
    assert next(step.done for step in again if step.stage == "scan") == len(keep), "nor is a finished scan"
    assert {name: last.facts[name] for name in found.facts} == found.facts
    assert last.facts["score"]["n"] == len(keep)
    assert set(last.facts["models"]) == {"base", "poisoned", "cleaned"}
    assert last.facts["models"]["poisoned"]["asr"] > 0.5
    assert "tuned on the rest" in tour.table(last.facts)
