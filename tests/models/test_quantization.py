"""Quantised weights: what transformers reads from plain tensors is loaded, all other settings are refused by name."""

import json
import shutil
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file, save_file

from bye_core.models.errors import MissingPackage
from bye_core.models.folder_errors import QuantizedWeights, SettingOutOfBounds
from bye_core.models.folder_view import model_view
from bye_core.models.loading import load_model
from bye_core.models.quantization import check_quantization
from tests.models.hostile import edit, replace
from tests.models.tiny import picture, sample

ARGUMENTS = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "tensor", "dynamic": False}
GROUP = {"targets": ["Linear"], "weights": ARGUMENTS, "input_activations": None, "format": "float-quantized"}
# Settings as published models have them.
GENUINE = {
    "awq": {"bits": 4, "group_size": 128, "zero_point": True, "version": "gemm", "modules_to_not_convert": ["visual"]},
    "gptq": {"bits": 4, "group_size": -1, "desc_act": True, "sym": True, "damp_percent": 0.1, "static_groups": False,
             "true_sequential": True, "lm_head": False, "model_name_or_path": "a/b", "dynamic": {"-:.*visual.*": {}}},
    "fp8": {"activation_scheme": "dynamic", "weight_block_size": [128, 128], "fmt": "e4m3",
            "modules_to_not_convert": ["lm_head", "model.visual.blocks.0.attn.proj"]},
    "compressed-tensors": {"config_groups": {"group_0": GROUP}, "format": "float-quantized", "version": "0.9",
                           "ignore": ["re:.*lm_head", "re:vision_tower.*"], "quantization_status": "compressed",
                           "kv_cache_scheme": None, "sparsity_config": {}},
    "bitsandbytes": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
}  # fmt: skip
REFUSED = [
    ("awq", "bits", 5), ("awq", "bits", True), ("awq", "group_size", 10**6), ("awq", "zero_point", "yes"),
    ("awq", "version", "/etc/x"), ("awq", "version", "x" * 99), ("awq", "modules_to_not_convert", "visual"),
    ("awq", "modules_to_not_convert", ["(a+)+$"]), ("awq", "modules_to_not_convert", [".*.*.*x"]),
    ("awq", "modules_to_not_convert", ["a"] * 501), ("awq", "modules_to_not_convert", ["x" * 300]),
    ("awq", "modules_to_not_convert", [f"a{n}.*" for n in range(65)]), ("awq", "custom_kernel", "owner/name"),
    ("gptq", "modules_in_block_to_quantize", [["(a|a)*"]]), ("gptq", "is_marlin_format", True), ("gptq", "bits", [4]),
    ("gptq", "block_name_to_quantize", "(.*)*"), ("fp8", "modules_to_convert", ["embed_tokens"]),
    ("fp8", "weight_block_size", [128]), ("fp8", "weight_block_size", [10**9, 1]), ("fp8", "scale_fmt", {}),
    ("fp8", "kernel", "owner/name"), ("compressed-tensors", "config_groups", {"a": 3}),
    ("compressed-tensors", "config_groups", {"a": {"targets": ["re:(a*)*"]}}),
    ("compressed-tensors", "config_groups", {"a": {"weights": {"num_bits": 10**9}}}),
    ("compressed-tensors", "config_groups", {"a": {"weights": {"observer_kwargs": {"x": 1}}}}),
    ("compressed-tensors", "config_groups", {str(n): GROUP for n in range(17)}),
    ("compressed-tensors", "sparsity_config", {"format": "sparse-24"}),
    ("compressed-tensors", "transform_config", {"a": 1}), ("bitsandbytes", "path", "/etc"),
]  # fmt: skip


@pytest.mark.parametrize("method", GENUINE)
def test_genuine_settings_are_accepted(method, tmp_path):
    kept = check_quantization(tmp_path, {"quant_method": method, **GENUINE[method]})
    assert kept["quant_method"] == method
    assert not kept.keys() & {"model_name_or_path", "dynamic", "tokenizer", "dataset", "backend", "fmt"}
    assert kept.get("dequantize", False) == (method in ("fp8", "compressed-tensors"))


@pytest.mark.parametrize(("method", "field", "value"), REFUSED)
def test_other_settings_are_refused(method, field, value, tmp_path):
    settings = {"quant_method": method, **GENUINE[method], field: value}
    with pytest.raises(SettingOutOfBounds, match=rf"quantization_config\.{field}"):
        check_quantization(tmp_path, settings)


@pytest.mark.parametrize("settings", [{}, {"bits": 4}, {"quant_method": ["awq"]}, {"quant_method": "AWQ"}, "awq", 3])
def test_unknown_methods_are_refused(settings, tmp_path):
    with pytest.raises(QuantizedWeights, match="compressed-tensors"):
        check_quantization(tmp_path, settings)


@pytest.mark.parametrize(
    ("method", "package"), [("awq", "gptqmodel"), ("gptq", "optimum"), ("compressed-tensors", "compressed-tensors")]
)
def test_a_missing_package_is_named(method, package, folder, tmp_path):
    if find_spec(package.replace("-", "_")):
        pytest.skip(f"{package} is installed")
    path = shutil.copytree(folder, tmp_path / "model")
    edit("config.json", quantization_config={"quant_method": method, **GENUINE[method]})(path)
    with pytest.raises(MissingPackage, match=f"package {package}"):
        load_model(path, device="cpu")


def logits(path):
    loaded = load_model(path, device="cpu")
    inputs = loaded.family.encode([loaded.family.prompt(sample("a"))], [[picture(0)]])
    with torch.no_grad():
        return loaded.model(**inputs).logits


def in_eight_bits(folder, path, restored):
    """Copy a model with the weights of its decoder in eight bits, or with these restored to ordinary numbers."""
    shutil.copytree(folder, path)
    weights = {}
    for name, weight in load_file(path / "model.safetensors").items():
        if "layers" not in name or "vision" in name or weight.ndim < 2:
            weights[name] = weight
            continue
        scale = weight.abs().max() / 448  # the largest number of this type
        short = (weight / scale).to(torch.float8_e4m3fn)
        weights |= {name: short.float() * scale} if restored else {name: short}
        if not restored:
            weights[name.replace(".weight", ".weight_scale_inv")] = scale.reshape(1, 1)
    (path / "model.safetensors").unlink()
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    return path


def test_eight_bit_weights_are_restored(folder, tmp_path):
    path = in_eight_bits(folder, tmp_path / "short", restored=False)
    replace(path / "config.json", (path / "config.json").read_bytes())
    edit("config.json", quantization_config={"quant_method": "fp8", **GENUINE["fp8"]})(path)
    with model_view(path) as view:
        kept = json.loads((view / "config.json").read_text())["quantization_config"]
    assert kept.pop("dequantize")
    assert kept == {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    restored = in_eight_bits(folder, tmp_path / "restored", restored=True)
    assert torch.allclose(logits(path), logits(restored), atol=1e-5)
