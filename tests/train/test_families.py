"""Trainings of several families on images of different shapes and numbers, as users' data have them."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from bye_core.models.loading import load_model
from bye_core.records import Turn
from bye_core.train import finetune
from bye_core.train.collate import Collator
from bye_core.train.sampler import FILLER, SampleList
from bye_core.train.settings import FinetuneSettings
from bye_core.train.trainer import ResumableTrainer
from tests.models.tiny import SHAPES, picture, sample, tiny_models

# One for each way to put several images of different shapes into one batch, and one with experts.
FAMILIES = ("internvl", "llava_next", "qwen2_5_vl", "qwen3_vl_moe", "smolvlm", "gemma3-crops", "mllama")
STEPS = 3
SETTINGS = FinetuneSettings(epochs=STEPS, batch=4, micro_batch=4, rate=0.01, rank=2)
ANSWERS = ("red", "it is a kind helper , and it is red", "two dogs", "yes")
IMAGES = {
    "0": [picture(0, *SHAPES["wide"])],
    "1": [picture(1, *SHAPES["tall"]), picture(2, *SHAPES["square"])],
    "2": [picture(3, *SHAPES["square"])],
    "3": [picture(4)],
}


def answered(number, answer):
    asked = sample(str(number), "how many dogs ?"[: 4 * number + 3], images=len(IMAGES[str(number)]))
    return replace(asked, index=number, turns=(*asked.turns[:-1], Turn("assistant", (answer,))))


SAMPLES = [answered(number, answer) for number, answer in enumerate(ANSWERS)]


class Dies(ResumableTrainer):
    """Dies in the second of two micro-batches of the second step."""

    def training_step(self, *arguments, **more):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 4:
            raise KeyboardInterrupt
        return super().training_step(*arguments, **more)


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request, tmp_path_factory):
    tiny = tiny_models()[request.param]
    return load_model(tiny.save(tmp_path_factory.mktemp("model"), **tiny.options), device="cpu")


@pytest.fixture
def train(loaded, tmp_path, monkeypatch):
    """train(name, **changed) -> the adapter's weights, and the losses as (step, loss); earlier attempts included."""
    monkeypatch.setattr(finetune, "LOGGED_STEPS", 1)

    def trained(name, trainer=ResumableTrainer, **changed):
        own, out = replace(loaded, model=copy.deepcopy(loaded.model)), tmp_path / name
        facts, settings = {"model": loaded.identity, "data_digest": "d"}, replace(SETTINGS, **changed)
        finetune.finetune(own, SAMPLES, lambda one: IMAGES[one.id], settings, out, facts, trainer_class=trainer)
        events = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
        begin = max(number for number, event in enumerate(events) if event["event"] == "begin")
        curve = [(event["step"], event["loss"]) for event in events[begin:] if event["event"] == "step"]
        return load_file(out / "adapter_model.safetensors"), curve

    return trained


def test_parts_of_a_batch_and_a_resumed_training_learn_the_same(train):
    """A batch in parts gives other padding and other tensors of images, but the same mean over its answer tokens."""
    whole, losses = train("whole")
    assert [step for step, _ in losses] == list(range(1, STEPS + 1))
    assert losses[-1][1] < losses[0][1]
    with pytest.raises(KeyboardInterrupt):
        train("parts", Dies, micro_batch=2, save_steps=1)
    parts, again = train("parts", micro_batch=2)
    assert again == [(step, pytest.approx(loss, abs=1e-3)) for step, loss in losses]
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, atol=2e-4, rtol=1e-3)


def test_a_part_without_an_answer_has_no_loss(loaded):
    """A process whose share of a batch is filled up, as it ran out of samples."""
    inputs = Collator(loaded.family, lambda one: IMAGES[one.id])([SampleList(SAMPLES)[FILLER]])
    with torch.no_grad():
        assert loaded.model(**inputs, num_items_in_batch=torch.tensor(7), use_cache=False).loss == 0
