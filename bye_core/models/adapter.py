"""Checks a LoRA adapter's files and puts the adapter on its base model."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from bye_core.models.errors import (
    AdapterMismatch,
    BrokenModel,
    ForeignCode,
    MisnamedWeights,
    ModelNotFound,
    UnsupportedAdapter,
)
from bye_core.models.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, check_checkpoints, check_safetensors
from bye_core.text import clip

# Fields of a LoRA config that make peft import a module or build classes named in the file; harmless when empty.
CODE_FIELDS = ("auto_mapping", "megatron_config", "custom_modules", "_custom_modules")
REASON_SHOWN = 300  # characters of an error of another package
SAME_END = 3  # parts of a tensor's name, such as linear_1.lora_A.weight


def read_adapter_config(folder: Path, base_class: str = "") -> dict:
    """Return the content of adapter_config.json.

    `base_class`: name of the transformers class that the base model is loaded with. peft writes it into auto_mapping
    if no task type was given; then auto_mapping names no other code than the one that is loaded anyway.
    Raises: ModelNotFound if the file is missing; OnlyCheckpoints if it is in subfolders; BrokenModel if it is damaged;
    UnsupportedAdapter if it describes another adapter than LoRA; ForeignCode if it names code to import;
    MisnamedWeights if the weights have another name than the one that peft reads; PickleWeights if there are none.
    """
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        check_checkpoints(folder, ADAPTER_CONFIG)
        raise ModelNotFound(path=folder, reason=f"the folder has no {ADAPTER_CONFIG}.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrokenModel(path=path, reason=error) from error
    if not isinstance(config, dict):
        raise BrokenModel(path=path, reason=f"{ADAPTER_CONFIG} is not a JSON object.")
    if config.get("peft_type") != "LORA":
        raise UnsupportedAdapter(path=folder, kind=config.get("peft_type"))
    for field in CODE_FIELDS:
        if config.get(field) and not (field == "auto_mapping" and _names_class(config[field], base_class)):
            raise ForeignCode(path=folder, field=field)
    check_safetensors(folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise MisnamedWeights(path=folder, found=", ".join(sorted(file.name for file in folder.glob("*.safetensors"))))
    return config


def _names_class(mapping: Any, name: str) -> bool:
    """Return whether peft's auto_mapping names the class `name` of transformers and nothing else."""
    known = isinstance(mapping, dict) and set(mapping) == {"base_model_class", "parent_library"}
    return known and mapping["base_model_class"] == name and str(mapping["parent_library"]).startswith("transformers.")


def base_model_name(adapter: Path) -> str:
    """Return the base model that an adapter names, "unknown" if it names none."""
    try:
        config = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "unknown"
    return str(config.get("base_model_name_or_path") or "unknown") if isinstance(config, dict) else "unknown"


def add_adapter(network: Any, folder: Path, config: Mapping[str, Any]) -> PeftModel:
    """Return `network` wrapped by the adapter, whose tensors may have the names of an earlier layout of the model.

    Raises: AdapterMismatch if a tensor is missing, does not fit or is not used.
    """
    facts = {"path": folder, "base": config.get("base_model_name_or_path")}
    try:
        own = PeftConfig.from_pretrained(str(folder))
        own.base_model_name_or_path = network.name_or_path  # otherwise peft warns about each adapter that was moved
        saved = load_file(folder / ADAPTER_WEIGHTS)
        if isinstance(own.target_modules, str):
            # A pattern for the names of an earlier layout may match other modules of the current one.
            own.target_modules = adapted_modules(network, saved) or own.target_modules
        wrapped: Any = get_peft_model(network, own)
        report = wrapped.load_adapter(str(folder), "default")
        missing = {name.replace(".default.", ".") for name in report.missing_keys} | _unsaved_modules(wrapped, saved)
        unused = set(report.unexpected_keys)
        # peft renames the tensors of the language model, but not those of the other parts.
        renamed = renamed_tensors(unused, missing)
        if renamed:
            set_peft_model_state_dict(wrapped, {new: saved[old] for old, new in renamed.items()})
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
        raise AdapterMismatch(**facts, reason=clip(str(error), REASON_SHOWN)) from error
    differing = (missing - set(renamed.values())) | (unused - set(renamed))
    if differing:
        raise AdapterMismatch(**facts, reason=f"{len(differing)} tensors differ, such as {min(differing)}.")
    return wrapped


def _unsaved_modules(wrapped: PeftModel, saved: Mapping[str, torch.Tensor]) -> set[str]:
    """Return the names of whole modules that the adapter's config trains but its file lacks.

    An adapter may save embeddings or not. Without an explicit choice, peft looks for the base model that the config
    names, in the working directory and on the hub; only the adapter's own folder may be read here.
    """
    names = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    return {name for name in names if ".lora_" not in name and name not in saved}


def adapted_modules(network: torch.nn.Module, saved: Collection[str]) -> list[str]:
    """Return the modules of `network` whose LoRA matrices have the names `saved`; empty if one cannot be found.

    The names may be those of an earlier layout: a module with the same end and the same numbers is taken if there is
    only one with the longest common end.
    """
    modules: dict[tuple, list[str]] = {}
    for name, _ in network.named_modules():
        modules.setdefault(_end_and_numbers(name), []).append(name)
    found = set()
    for name in {tensor.rsplit(".lora_", 1)[0] for tensor in saved if ".lora_" in tensor}:
        candidates = modules.get(_end_and_numbers(name), [])
        common = [_common_end(name, other) for other in candidates]
        if not common or common.count(max(common)) > 1:
            return []
        found.add(candidates[common.index(max(common))])
    return sorted(found)


def _end_and_numbers(name: str) -> tuple[str, ...]:
    parts = name.split(".")
    return parts[-1], *(part for part in parts if part.isdigit())


def renamed_tensors(unused: Collection[str], missing: Collection[str]) -> dict[str, str]:
    """Match tensors of an earlier layout to those of the current one: {name in the file: name in the model}.

    Each tensor is matched to the missing tensor with the longest common end of its name, if there is only one: module,
    matrix and "weight" must agree, and the numbers of layers; only the names of the modules around them may differ.
    """
    ends: dict[str, list[str]] = {}
    for name in unused:
        common = {other: _common_end(name, other) for other in missing if _same_numbers(name, other)}
        longest = max(common.values(), default=0)
        if longest >= SAME_END and list(common.values()).count(longest) == 1:
            ends.setdefault(max(common, key=lambda other: common[other]), []).append(name)
    return {names[0]: new for new, names in ends.items() if len(names) == 1}


def _common_end(name: str, other: str) -> int:
    """Return how many parts, counted from the end, two dotted names have in common."""
    pairs = zip(reversed(name.split(".")), reversed(other.split(".")), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _same_numbers(name: str, other: str) -> bool:
    """Return whether two dotted names have the same numbers, such as those of layers, in the same order."""
    return [part for part in name.split(".") if part.isdigit()] == [part for part in other.split(".") if part.isdigit()]
