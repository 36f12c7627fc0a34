"""A model whose layers are spread over devices: accelerate moves inputs and outputs, and the rows stay the same.

These tests have one device. Its hooks replace the `forward` of every module, as with several devices.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import dispatch_model
from peft import LoraConfig, get_peft_model

from bye_core.attention import read_with_answers
from bye_core.attention.heads import read_heads
from bye_core.cli import main
from bye_core.model_protocol import ALL_GPUS
from bye_core.models.calls import generate_answers
from bye_core.models.errors import NoGpus, TooLargeForGpus
from bye_core.models.loading import check_places, load_model, pick_device
from bye_core.workers import ModelSource, WorkerSettings, open_model
from bye_core.workers.errors import ModelOnAllGpus
from tests.models.tiny import picture, sample, save_tiny


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_model(save_tiny(tmp_path_factory.mktemp("model"), num_hidden_layers=2), device="cpu")


def spread(network):
    """Attach the hooks as `device_map="auto"` does: one part per layer, and the rest of the model in larger parts."""
    layers = {name for name, part in network.named_modules() if type(part).__name__.endswith("DecoderLayer")}
    parts = ["model.vision_tower", "model.multi_modal_projector", "lm_head", *layers]
    parts += [f"model.language_model.{name}" for name in ("embed_tokens", "norm", "rotary_emb")]
    return dispatch_model(network, dict.fromkeys(parts, "cpu"), force_hooks=True)


def with_adapter(network, family):
    torch.manual_seed(1)
    wrapped = get_peft_model(network, LoraConfig(r=2, target_modules=family.lora_targets(network)))
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return wrapped.eval().requires_grad_(False)


def readings(model):
    samples = [sample("a"), sample("b", "how many dogs are there ?")]
    images = [[picture(0)], [picture(1)]]
    rows = [one.rows for one in read_with_answers(model, samples, images)]
    answers = next(generate_answers(model, samples, lambda one: images[samples.index(one)]))
    return rows, [answer.given for answer in answers], read_heads(model, samples[0], images[0])[0]


def test_a_spread_model_gives_the_same_rows_answers_and_heads(loaded):
    identity = {**loaded.identity, "adapter_digest": "a"}
    network, before = loaded.model, dict(vars(loaded.model))
    plain = replace(loaded, model=with_adapter(network, loaded.family), identity=identity)
    expected = readings(plain)
    network = plain.model.unload()
    hooked = replace(plain, model=with_adapter(spread(network), loaded.family))
    assert "_hf_hook" in vars(network)
    assert "_hf_hook" not in before
    rows, answers, heads = readings(hooked)
    assert answers == expected[1]
    assert np.array_equal(heads, expected[2])
    for one, other in zip(rows, expected[0], strict=True):
        for name in ("rows", "entropy", "peak", "mass", "peak_before", "hidden"):
            assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
        assert (one.nll, one.nll_before) == (other.nll, other.nll_before)
        assert one.nll != one.nll_before


def test_a_model_is_spread_over_gpus_only_and_in_one_process(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NoGpus):
        pick_device(ALL_GPUS)
    check_places({"model.language_model": 0, "lm_head": 1})
    with pytest.raises(TooLargeForGpus, match="2 of its parts"):
        check_places({"model.language_model": 0, "lm_head": "cpu", "model.vision_tower": "disk"})
    with pytest.raises(ModelOnAllGpus), open_model(ModelSource("m", device=ALL_GPUS), WorkerSettings(2)):
        pass
    command = ["evaluate", "--model", "m", "--data", "d", "--device-map", "auto"]
    assert main.main([*command, "--device", "cuda:1"]) == 1
    assert "only one of the two options" in capsys.readouterr().err


def test_where_accelerate_puts_the_parts_is_decided_by_it(loaded, monkeypatch):
    """The option reaches transformers, and a spread model is not moved to one device."""
    asked = []

    def stop(folder, **options):
        asked.append(options.get("device_map"))
        raise KeyboardInterrupt

    monkeypatch.setattr("bye_core.models.loading.AutoModelForImageTextToText.from_pretrained", stop)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for device in (ALL_GPUS, "cpu"):
        with pytest.raises(KeyboardInterrupt):
            load_model(loaded.identity["model"], device=device, dtype="float32")
    assert asked == ["auto", None]
