"""A fine-tune on a tiny model in this process: what is adapted, what is learned, what is refused."""

import errno
import json
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open

from bye_core.data import load_dataset
from bye_core.models import loading
from bye_core.models.errors import NoBitsandbytes
from bye_core.models.families import FAMILIES
from bye_core.models.loading import load_model
from bye_core.process import Stopped, StopRequest
from bye_core.train import checkpoints, finetune
from bye_core.train.adapter import with_lora
from bye_core.train.errors import NotSaved, OutOfMemory, TrainingDiffers
from bye_core.train.progress import ProgressLog
from bye_core.train.settings import PRESETS, BadFinetuneSetting, FinetuneSettings
from bye_core.train.trainer import ResumableTrainer
from tests.models.tiny import picture, sample, save_tiny
from tests.pipeline.test_stages import write_set

SAMPLES = 6
SETTINGS = FinetuneSettings(epochs=1, batch=4, micro_batch=2, rate=0.01, rank=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"), num_hidden_layers=1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_set(tmp_path_factory.mktemp("data") / "set", SAMPLES))


@pytest.fixture
def train(model, dataset, tmp_path):
    """train(settings, out=..., **changed) -> what the adapter's weights are in the end."""

    def trained(settings=SETTINGS, out="adapter", loaded=None, stop=None, **changed):
        loaded = loaded or load_model(model, device="cpu", dtype=changed.get("dtype", "float32"))
        facts = {"model": loaded.identity, "data_digest": dataset.digest}
        settings = replace(settings, **changed)
        finetune.finetune(
            loaded, dataset.samples, dataset.images, settings, tmp_path / out, facts, dataset.faults, stop=stop
        )
        return tensors(tmp_path / out)

    return trained


def tensors(adapter):
    with safe_open(adapter / "adapter_model.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def logits(loaded, model):
    inputs = loaded.family.encode([loaded.family.prompt(sample("a"))], [[picture(0)]])
    with torch.no_grad():
        return model(**inputs).logits


@pytest.mark.parametrize(("alpha", "b_is_zero", "same"), [(4, True, True), (0, False, True), (4, False, False)])
def test_without_effect_it_changes_no_logit(model, alpha, b_is_zero, same):
    loaded = load_model(model, device="cpu")
    before = logits(loaded, loaded.model)
    settings = FinetuneSettings(rank=2, vision=True)
    object.__setattr__(settings, "alpha", alpha)  # 0 is refused, but is what this is about
    tuned = with_lora(loaded, settings).eval()
    for name, weight in tuned.named_parameters():
        if "lora_B" in name and not b_is_zero:
            torch.nn.init.normal_(weight)
    assert torch.equal(logits(loaded, tuned), before) is same


@pytest.mark.parametrize(("projector", "vision"), [(True, False), (False, False), (True, True)])
def test_what_is_adapted(model, projector, vision):
    tuned = with_lora(load_model(model, device="cpu"), FinetuneSettings(projector=projector, vision=vision))
    trained = {name for name, weight in tuned.named_parameters() if weight.requires_grad}
    assert all("lora_" in name for name in trained)
    assert any("language_model.layers.0.self_attn.q_proj" in name for name in trained)
    assert any("vision_tower" in name for name in trained) is vision
    assert any("multi_modal_projector" in name for name in trained) is projector
    assert not any("lm_head" in name for name in trained)


def test_a_tiny_set_is_learned_by_heart(model, train, tmp_path):
    loaded = load_model(model, device="cpu")
    with torch.no_grad():
        loaded.model.lm_head.weight.mul_(5)  # frozen, and too small to be sure with
    names = train(loaded=loaded, epochs=25, rate=0.03, batch=6, micro_batch=6)
    assert not any("vision_tower" in name for name in names)
    events = [json.loads(line) for line in (tmp_path / "adapter/progress.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "step"]
    assert losses[0] > 1
    assert losses[-1] < 0.01


def test_memory_can_be_saved_at_no_loss(train):
    plain = train(out="plain")
    assert all(torch.equal(plain[name], value) for name, value in train(out="c", gradient_checkpointing=True).items())
    for name, value in train(out="accumulated", micro_batch=1).items():
        torch.testing.assert_close(value, plain[name], atol=1e-5, rtol=1e-4)


def test_half_precision_keeps_the_adapter_whole(train):
    weights = train(dtype="bfloat16")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert all(value.isfinite().all() for value in weights.values())
    assert any(value.any() for name, value in weights.items() if "lora_B" in name)


def test_the_papers_recipe_has_a_name():
    paper = PRESETS["paper"]
    assert (paper.epochs, paper.batch, paper.rate) == (3, 16, 2e-4)
    assert PRESETS["paper-internvl"] == replace(paper, rate=4e-5)


# --- what goes wrong -------------------------------------------------------------------------------------------


def full_disk(monkeypatch, after):
    original, calls = torch.save, iter(range(after, -1, -1))

    def save(value, path, *rest):
        if next(calls, 0) == 0:
            original(value, path, *rest)
            with open(path, "rb+") as file:
                file.truncate(10)
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(value, path, *rest)

    monkeypatch.setattr(torch, "save", save)


def test_a_full_disk_keeps_the_checkpoint_before(train, tmp_path, monkeypatch):
    whole = train(out="whole", epochs=2)
    with monkeypatch.context() as disk:
        full_disk(disk, 7)  # three files a checkpoint are saved so
        with pytest.raises(NotSaved, match=r"No space left.*resumes from step 2"):
            train(epochs=2, save_steps=1)
    root = checkpoints.folder_of(tmp_path / "adapter")
    assert [path.name for path in checkpoints.list_newest_first(root)] == ["checkpoint-2", "checkpoint-1"]
    resumed = train(epochs=2, save_steps=1)
    assert all(torch.equal(whole[name], value) for name, value in resumed.items())


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="without an alarm, a stop is obeyed at once")
def test_a_stop_as_soon_as_the_training_is_announced_waits_for_a_step(train, tmp_path, monkeypatch):
    """Processes agree on a stop after a step. One that ended before would leave the others with an error."""
    write = ProgressLog.write

    def announced(self, **event):
        write(self, **event)
        if event["event"] == "begin":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(ProgressLog, "write", announced)
    with pytest.raises(Stopped), StopRequest() as stop:
        train(epochs=2, stop=stop)
    newest = checkpoints.newest(checkpoints.folder_of(tmp_path / "adapter"))
    assert checkpoints.step_of(newest) == 1


def test_another_training_is_not_resumed(train, monkeypatch, model, tmp_path):
    with monkeypatch.context() as broken:
        broken.setattr(finetune, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            train(save_steps=1)
    for changed in ({"rate": 0.02, "rank": 4}, {"dtype": "bfloat16"}):
        with pytest.raises(TrainingDiffers, match=f"{next(iter(changed))} was .*, now {next(iter(changed.values()))}"):
            train(**changed)
    facts = {"model": load_model(model, device="cpu").identity, "data_digest": "f" * 64}
    training = finetune._identity({**facts, "samples": SAMPLES}, SETTINGS)
    with pytest.raises(TrainingDiffers, match="another data set"):
        checkpoints.prepare(tmp_path / "adapter", training)
    train(micro_batch=1, gradient_checkpointing=True, save_seconds=9.0)


def test_memory_that_runs_out_is_told_with_what_helps(train, monkeypatch):
    def step(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(ResumableTrainer, "training_step", step)
    with pytest.raises(OutOfMemory, match=r"2\.00 GiB.*--micro-batch.*starts from the beginning"):
        train()


def test_a_batch_that_processes_cannot_share(tmp_path):
    loaded = SimpleNamespace(device=torch.device("cpu"), dtype=torch.float32)
    with pytest.raises(BadFinetuneSetting, match="multiple of the number of processes, 3"):
        finetune.training_arguments(SETTINGS, tmp_path, loaded, processes=3)


def test_four_bits_need_bitsandbytes(model, monkeypatch):
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NoBitsandbytes, match="pip install bitsandbytes"):
        load_model(model, device="cpu", four_bit=True)
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: name)
    config = loading.nf4(torch.bfloat16, FAMILIES["llava"])
    assert (config.quantization_method(), config.bnb_4bit_use_double_quant) == ("nf4", True)
    assert config.bnb_4bit_compute_dtype is torch.bfloat16
    assert config.llm_int8_skip_modules == ["model.vision_tower", "model.multi_modal_projector", "lm_head"]
