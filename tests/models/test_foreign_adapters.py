"""Adapters of LLaMA-Factory and ms-swift, made when the modules of Qwen2.5-VL had other names."""

import copy
import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from bye_core.models.loading import load_model
from tests.models.tiny import picture, sample, save_tiny

# What the two tools write as target_modules; model.* was the language model alone.
PATTERNS = {
    "llama-factory": "^(?!.*(?:patch_embed|visual)).*(?:up_proj|q_proj|k_proj|down_proj|gate_proj|o_proj|v_proj).*",
    "ms-swift": "^(model)(?!.*(lm_head|output|emb|wte|shared)).*",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"), "qwen2_5_vl")


@pytest.mark.parametrize("tool", PATTERNS)
def test_an_adapter_with_the_names_of_the_earlier_layout(folder, tmp_path, tool):
    loaded = load_model(folder, device="cpu")
    inputs = loaded.family.encode([loaded.family.prompt(sample("a"))], [[picture(0)]])
    targets = loaded.family.lora_targets(loaded.base, projector=False)
    adapted = get_peft_model(copy.deepcopy(loaded.base), LoraConfig(r=2, target_modules=targets)).eval()
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    old = {name.replace("model.language_model.", "model."): values for name, values in tensors.items()}
    save_file(old, tmp_path / "adapter_model.safetensors")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    config |= {"target_modules": PATTERNS[tool], "auto_mapping": None}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with torch.inference_mode():
        wanted = adapted(**inputs).logits
        found = load_model(folder, tmp_path, device="cpu").model(**inputs).logits
    torch.testing.assert_close(found, wanted)
