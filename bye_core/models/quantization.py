"""Checks how a model's weights are quantised, and keeps only the settings that libraries need to read them.

Methods of transformers that read plain tensors from safetensors files are accepted. Weights that can be restored to
ordinary ones (fp8, compressed-tensors) are: otherwise, transformers would download kernels from the hub for them. The
others need their package, which transformers names if it is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bye_core.models import bounds
from bye_core.models.folder_errors import QuantizedWeights, SettingOutOfBounds

Check = Callable[[Any], bool]

WORD = re.compile(r"[\w.-]{0,40}")
# Names of modules, or patterns that cannot backtrack for long: no repeated groups, and at most two runs of anything.
MODULE = re.compile(r"(?:re:)?(?:[\w^$-]|\\?\.|\((?:[\w|-]|\\?\.)+\)|(?<=\.)\*){1,200}")
RUNS, PATTERNS, GROUPS, SIZE = 2, 64, 16, 4_096  # ours


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_word(value: Any) -> bool:
    return isinstance(value, str) and WORD.fullmatch(value) is not None


def is_size(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not is_flag(value) and -1 <= value <= SIZE)


def is_bits(value: Any) -> bool:
    return value in (2, 3, 4, 8) and not is_flag(value)


def is_block(value: Any) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 2 and all(is_size(side) for side in value))


def are_modules(value: Any) -> bool:
    """Return whether a value is a list of modules, or a list of such lists."""
    if value is None:
        return True
    if not isinstance(value, list) or len(value) > bounds.PATTERNS:
        return False
    names = [name for entry in value for name in (entry if isinstance(entry, list) else [entry])]
    patterns = [name for name in names if isinstance(name, str) and "*" in name]
    return len(names) <= bounds.PATTERNS and len(patterns) <= PATTERNS and all(map(_is_module, names))


def _is_module(name: Any) -> bool:
    return isinstance(name, str) and MODULE.fullmatch(name) is not None and name.count("*") <= RUNS


def are_groups(value: Any) -> bool:
    """Return whether a value describes groups of modules, as compressed-tensors does."""
    return isinstance(value, Mapping) and len(value) <= GROUPS and all(map(_is_group, value.values()))


def _is_group(group: Any) -> bool:
    return isinstance(group, Mapping) and all(
        are_modules(value) if key == "targets" else is_word(value) or _is_scheme(value) for key, value in group.items()
    )


def _is_scheme(scheme: Any) -> bool:
    return scheme is None or (
        isinstance(scheme, Mapping)
        and all(is_flag(v) or is_word(v) or is_size(v) or is_block(v) or v == {} for v in scheme.values())
    )


def is_empty(value: Any) -> bool:
    return value in (None, {}, [], False, "dense")


def is_anything(value: Any) -> bool:
    return True


# By method: the entries that libraries see; those that are left out, because they concern the quantisation itself or
# how fast it runs; and entries that this tool sets.
KEPT: dict[str, dict[str, Check]] = {
    "gptq": {
        "bits": is_bits, "group_size": is_size, "desc_act": is_flag, "sym": is_flag, "true_sequential": is_flag,
        "act_group_aware": is_flag, "format": is_word, "checkpoint_format": is_word,
        "modules_in_block_to_quantize": are_modules, "block_name_to_quantize": lambda name: are_modules([name]),
    },
    "awq": {
        "bits": is_bits, "group_size": is_size, "zero_point": is_flag, "version": is_word, "format": is_word,
        "desc_act": is_flag, "sym": is_flag, "modules_to_not_convert": are_modules,
    },
    "fp8": {
        "activation_scheme": is_word, "weight_block_size": is_block, "scale_fmt": is_word, "expert_dtype": is_word,
    },
    "compressed-tensors": {
        "config_groups": are_groups, "format": is_word, "quantization_status": is_word, "ignore": are_modules,
    },
}  # fmt: skip
DROPPED: dict[str, dict[str, Check]] = {
    "gptq": dict.fromkeys(
        ("tokenizer", "dataset", "meta", "backend", "dynamic", "model_name_or_path", "model_file_base_name",
         "model_seqlen", "batch_size", "pad_token_id", "max_input_length", "cache_block_outputs", "use_exllama",
         "disable_exllama", "exllama_config", "use_cuda_fp16", "damp_percent", "damp_auto_increment", "static_groups",
         "mse", "module_name_preceding_first_block", "pack_dtype"), is_anything,
    ) | {"is_marlin_format": is_empty, "lm_head": is_empty, "hyb_act": is_empty},
    "awq": dict.fromkeys(
        ("backend", "do_fuse", "fuse_max_seq_len", "modules_to_fuse", "exllama_config", "dataset", "tokenizer",
         "damp_percent", "true_sequential", "batch_size", "pad_token_id", "max_input_length", "meta",
         "cache_block_outputs", "model_seqlen", "block_name_to_quantize", "module_name_preceding_first_block",
         "act_group_aware", "modules_in_block_to_quantize"), is_anything,
    ),
    "fp8": dict.fromkeys(("fmt", "dequantize", "modules_to_not_convert", "ignored_layers"), is_anything)
    | {"modules_to_convert": is_empty},
    "compressed-tensors": dict.fromkeys(
        ("version", "kv_cache_scheme", "global_compression_ratio", "run_compressed", "dequantize",
         "use_optimized_inference"), is_anything,
    ) | {"sparsity_config": is_empty, "transform_config": is_empty},
}  # fmt: skip
SET: dict[str, dict[str, Any]] = {"fp8": {"dequantize": True}, "compressed-tensors": {"dequantize": True}}

BITSANDBYTES = "bitsandbytes"
BITSANDBYTES_ENTRIES = re.compile(
    r"quant_method|_?load_in_[48]bit|bnb_4bit_(compute_dtype|quant_storage|quant_type|use_double_quant)"
    r"|llm_int8_(enable_fp32_cpu_offload|has_fp16_weight|skip_modules|threshold)"
)


def check_quantization(folder: Path, settings: Any) -> dict[str, Any]:
    """Return the content of quantization_config for libraries.

    Raises: QuantizedWeights if the method is not known; SettingOutOfBounds if an entry is not, or is out of bounds.
    """
    method = settings.get("quant_method") if isinstance(settings, Mapping) else None
    if method == BITSANDBYTES:
        for key, value in settings.items():
            if not BITSANDBYTES_ENTRIES.fullmatch(key):
                raise _refused(folder, key, value, "this entry is not known")
        return dict(settings)
    if not isinstance(method, str) or method not in KEPT:
        raise QuantizedWeights(path=folder, method=method or "an unknown method")
    kept, checks = {"quant_method": method}, KEPT[method] | DROPPED[method]
    for key, value in settings.items():
        if key == "quant_method":
            continue
        if key not in checks:
            raise _refused(folder, key, value, "this entry is not known")
        if not checks[key](value):
            raise _refused(folder, key, value, f"{method} has other values here")
        if key in KEPT[method]:
            kept[key] = value
    return {**kept, **SET.get(method, {})}


def _refused(folder: Path, key: str, value: Any, expected: str) -> SettingOutOfBounds:
    field = f"quantization_config.{key}"
    return SettingOutOfBounds(path=folder, file="config.json", field=field, value=value, expected=expected)
