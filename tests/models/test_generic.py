"""The generic family: layouts that are measured once, with an adapter, on the model's own device."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from bye_core.attention import read_attention
from bye_core.models.families.generic import GenericFamily
from bye_core.models.loading import load_model
from tests.models.tiny import picture, sample, save_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("aya"), "aya_vision")


def grids_of(loaded, image):
    (rows,) = read_attention(loaded, [sample("a")], [[image]])
    return rows.grids


def test_the_layout_is_measured_with_an_adapter_on_the_model(folder, tmp_path):
    plain = load_model(folder, device="cpu")
    targets = plain.family.lora_targets(plain.base)
    get_peft_model(plain.model, LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM")).save_pretrained(
        tmp_path
    )
    tuned = load_model(folder, tmp_path, device="cpu")
    assert grids_of(tuned, picture(0, 97, 45)) == grids_of(load_model(folder, device="cpu"), picture(0, 97, 45))
    assert len(grids_of(tuned, picture(0, 97, 45))) == 3


def test_images_of_the_same_shape_share_a_measurement(folder, monkeypatch):
    loaded = load_model(folder, device="cpu")
    first = grids_of(loaded, picture(0, 97, 45))
    monkeypatch.setattr(GenericFamily, "_features", lambda *_: pytest.fail("measured again"))
    assert grids_of(loaded, picture(1, 194, 90)) == first


def test_without_weights_there_is_no_map(folder):
    loaded = load_model(folder, device="cpu")
    loaded.family.attach(None)
    assert grids_of(loaded, picture(0, 97, 45)) == ()


def test_the_measurement_leaves_no_hook_and_no_gradient(folder):
    loaded = load_model(folder, device="cpu")
    grids_of(loaded, picture(0, 97, 45))
    assert not any(module._forward_pre_hooks for module in loaded.base.modules())
    assert not torch.is_inference(next(loaded.base.parameters()))
