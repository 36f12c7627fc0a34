"""The generic family: layouts that are measured once, with an adapter, on the model's own device."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForImageTextToText

from bye_core.attention import read_attention
from bye_core.models.families.corrections import CORRECTIONS, count_images_per_sample
from bye_core.models.families.generic import GenericFamily
from bye_core.models.loading import load_model
from tests.models.families.generic import DECODER, TOWER
from tests.models.tiny import BOS, PAD, picture, sample, save_tiny


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


def hunyuan(texts=(3, 5, 2), grids=((4, 6), (6, 4), (4, 4))):
    """A tiny HunYuan-VL, and samples (token ids, patches, size of the image), each of one image and a text."""
    image, start = 5, 3
    torch.manual_seed(0)
    positions = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2] * 4}
    decoder = {**DECODER, "head_dim": 16, "rope_parameters": positions}
    tower = {**TOWER, "patch_size": 4, "out_hidden_size": 32, "text_hidden_size": 32, "max_image_size": 64}
    config = AutoConfig.for_model("hunyuan_vl", vision_config=tower, text_config=decoder, image_token_id=image)
    model = AutoModelForImageTextToText.from_config(config).eval()
    for name, weight in model.named_parameters():  # some parameters are uninitialized memory
        if ".image_" in name:
            torch.nn.init.normal_(weight)
    tokens = [[BOS, start] + [image] * (rows // 2 * (columns // 2 + 1) + 2) for rows, columns in grids]
    samples = [
        (own + list(range(10, 10 + text)), torch.randn(rows * columns, 48), [1, rows, columns])
        for own, text, (rows, columns) in zip(tokens, texts, grids, strict=True)
    ]
    return model, samples


def logits_of(model, samples):
    """The logits of each sample, run in one batch."""
    longest = max(len(ids) for ids, *_ in samples)
    ids = torch.tensor([[PAD] * (longest - len(own)) + own for own, *_ in samples])
    out = model(
        input_ids=ids,
        attention_mask=(ids != PAD).long(),
        mm_token_type_ids=(ids == model.config.image_token_id).int(),
        pixel_values=torch.cat([patches for _, patches, _ in samples]),
        image_grid_thw=torch.tensor([size for *_, size in samples]),
    ).logits
    return [row[longest - len(own) :] for row, (own, *_) in zip(out, samples, strict=True)]


@torch.inference_mode()
def test_a_batch_does_not_change_the_positions_of_hunyuan_vl():
    model, samples = hunyuan()
    alone = logits_of(model, samples[1:2])[0]
    assert CORRECTIONS["hunyuan_vl"] is count_images_per_sample
    count_images_per_sample(model)
    assert torch.allclose(logits_of(model, samples[1:2])[0], alone, atol=1e-6), "as transformers alone"
    for together, one in zip(logits_of(model, samples), samples, strict=True):
        assert torch.allclose(together, logits_of(model, [one])[0], atol=1e-5)
