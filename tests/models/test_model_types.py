"""Every model type that transformers loads with AutoModelForImageTextToText: a family, or a refusal with its reason."""

from importlib.util import find_spec

import pytest
from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from bye_core.models.errors import MissingPackage, UnknownParts, UnreadableArchitecture
from bye_core.models.families import FAMILIES, family_class
from bye_core.models.families.generic import GenericFamily
from bye_core.models.families.parts import find_parts, skeleton
from bye_core.models.model_config import read_config

REFUSED = {
    "encoder-decoder": {
        "florence2", "pix2struct", "pp_formulanet", "t5gemma2", "udop", "vision-encoder-decoder",
    },
    "not tokens among the text": {"blip", "git", "idefics", "kosmos-2", "kosmos-2.5"},
    "proteins": {"evolla"},
    "videos": {"instructblipvideo"},
    "reads no images": {"mistral4"},
    "robot": {"pi0"},
    "diffusion": {"diffusion_gemma"},
    "no attention rows": {"inkling2", "inkling_mm_model"},
}  # fmt: skip
REASONS = {model_type: reason for reason, types in REFUSED.items() for model_type in types}
# transformers cannot build these models from their default configs.
UNBUILT = {
    "aya_vision", "chameleon", "cohere_compass", "deepseek_ocr2", "emu3", "granite4_vision", "hunyuan_vl",
}  # fmt: skip
NO_HEAD = {"nemotron_h_omni"}
NEEDS_PACKAGE = {"fast_vlm": "timm", "gemma3n": "timm", "perception_lm": "timm"}
GENERIC = sorted(set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES) - set(FAMILIES) - set(REASONS))
DEPTHS = ("num_hidden_layers", "depth", "n_layers", "num_layers")


def config_of(model_type):
    """Return the default config with at most two layers in each part."""
    config = AutoConfig.for_model(model_type)
    for part in (config, *(part for part in vars(config).values() if hasattr(part, "to_dict"))):
        for depth in DEPTHS:
            if isinstance(getattr(part, depth, None), int):
                setattr(part, depth, min(2, getattr(part, depth)))
    return config


def test_the_refused_types_are_types_of_transformers():
    known = set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    assert set(REASONS) <= known
    assert UNBUILT | set(NEEDS_PACKAGE) <= set(GENERIC)
    assert not set(REASONS) & set(FAMILIES)
    assert len(known) == 97


@pytest.mark.parametrize("model_type", sorted(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES))
def test_every_type_has_a_family_or_a_reason_against_it(model_type, tmp_path):
    AutoConfig.for_model(model_type).to_json_file(tmp_path / "config.json")
    if model_type in REASONS:
        with pytest.raises(UnreadableArchitecture, match=REASONS[model_type]) as failure:
            read_config(tmp_path)
        assert model_type in failure.value.problem
    else:
        config = read_config(tmp_path)
        assert config.model_type == model_type
        assert (family_class(config) is GenericFamily) == (model_type not in FAMILIES)


@pytest.mark.parametrize("model_type", sorted(set(GENERIC) - UNBUILT))
def test_the_parts_of_every_other_type_are_found(model_type):
    if model_type in NEEDS_PACKAGE:
        if find_spec(NEEDS_PACKAGE[model_type]):
            pytest.skip(f"{NEEDS_PACKAGE[model_type]} is installed")
        with pytest.raises(MissingPackage, match=NEEDS_PACKAGE[model_type]):
            skeleton(config_of(model_type))
        return
    model = skeleton(config_of(model_type))
    if model_type in NO_HEAD:
        with pytest.raises(UnknownParts, match="no output head"):
            find_parts(model)
        return
    parts = find_parts(model)
    assert parts.layers == f"{parts.language_model}.layers"
    assert model.get_submodule(parts.head) is model.get_output_embeddings()
    for name in (*parts.towers, *parts.projectors):
        assert not name.startswith(parts.language_model)
        assert list(model.get_submodule(name).parameters())
