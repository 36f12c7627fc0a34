"""Checks a LoRA adapter's files and puts the adapter on its base model."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from transformers import AutoTokenizer

from bye_core.errors import ByeError, ModelError
from bye_core.models.adapter_cost import ALL_LINEAR, EMBEDDINGS, check_cost, check_patterns, check_rows
from bye_core.models.checked_files import checked, read_settings
from bye_core.models.errors import (
    AdapterMismatch,
    BrokenModel,
    ForeignCode,
    MisnamedWeights,
    ModelNotFound,
    UnsupportedAdapter,
)
from bye_core.models.files import (
    ADAPTER_CONFIG,
    ADAPTER_HASHED,
    ADAPTER_WEIGHTS,
    TOKENIZER_FILE,
    TOKENIZER_SETTINGS,
    check_checkpoints,
    check_safetensors,
)
from bye_core.models.guarded_tokenizer import guard
from bye_core.models.probes import probe_tokenizer
from bye_core.text import clip

# Fields of a LoRA config that make peft import a module or build classes named in the file; harmless when empty.
CODE_FIELDS = ("auto_mapping", "megatron_config", "custom_modules", "_custom_modules")
REASON_SHOWN = 300  # characters of an error of another package
PREFIX = "base_model.model."
FIRST_FACTOR = re.compile(r"\.lora_(?:embedding_)?A\b")
WRAPPER = re.compile(r"\.(?:modules_to_save|original_module)\.")
SAME_END = 3  # parts of a tensor's name, such as linear_1.lora_A.weight


def read_adapter_config(folder: Path, base_class: str = "") -> dict:
    """Return the content of adapter_config.json.

    `base_class`: name of the transformers class that the base model is loaded with. peft writes it into auto_mapping
    if no task type was given; then auto_mapping names no other code than the one that is loaded anyway.
    Raises: ModelNotFound if the file is missing; OnlyCheckpoints if it is in subfolders; BrokenModel if it is damaged;
    UnsupportedAdapter if it describes another adapter than LoRA; ForeignCode if it names code to import;
    MisnamedWeights if the weights have another name than the one that peft reads; PickleWeights if there are none.
    """
    config = read_settings(folder, ADAPTER_CONFIG)
    if config is None:
        check_checkpoints(folder, ADAPTER_CONFIG)
        raise ModelNotFound(path=folder, reason=f"the folder has no {ADAPTER_CONFIG}.")
    if config.get("peft_type") != "LORA":
        raise UnsupportedAdapter(path=folder, kind=config.get("peft_type"))
    for field in CODE_FIELDS:
        if config.get(field) and not (field == "auto_mapping" and _names_class(config[field], base_class)):
            raise ForeignCode(path=folder, field=field)
    checked(folder, ADAPTER_WEIGHTS)
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
        config = read_settings(adapter, ADAPTER_CONFIG) or {}
    except ModelError:
        return "unknown"
    return str(config.get("base_model_name_or_path") or "unknown")


def adopt_tokenizer(processor: Any, folder: Path, config: Any) -> tuple[str, ...]:
    """Use the adapter's tokenizer if the adapter brings embeddings of another number of tokens than the base model.

    Returns the patterns of the adapter's files that decide what the model computes.
    """
    rows = vocabulary_rows(folder)
    if rows in (None, config.get_text_config().vocab_size) or not (folder / TOKENIZER_FILE).is_file():
        return ADAPTER_HASHED
    probe_tokenizer(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        raise BrokenModel(path=folder, reason=error) from error
    guard(tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = processor.tokenizer.pad_token
    processor.tokenizer = tokenizer
    return (*ADAPTER_HASHED, TOKENIZER_FILE, *TOKENIZER_SETTINGS)


def add_adapter(network: Any, folder: Path, config: Mapping[str, Any]) -> PeftModel:
    """Return `network` wrapped by the adapter, whose tensors may have the names of an earlier layout of the model.

    Raises: AdapterMismatch if a tensor is missing, does not fit or is not used.
    """
    facts = {"path": folder, "base": config.get("base_model_name_or_path")}
    try:
        own = PeftConfig.from_pretrained(str(folder))
        own.base_model_name_or_path = network.name_or_path  # otherwise peft warns about each adapter that was moved
        saved = load_file(folder / ADAPTER_WEIGHTS)
        check_patterns(folder, own, network)
        check_rows(folder, network, saved)
        rows = vocabulary_rows(folder)
        if rows and rows != network.get_input_embeddings().num_embeddings:
            network.resize_token_embeddings(rows, mean_resizing=False)
        name_targets(own, network, saved)
        check_cost(folder, own, network, saved)
        wrapped: Any = get_peft_model(network, own)
        report = wrapped.load_adapter(str(folder), "default")
        missing = {name.replace(".default.", ".") for name in report.missing_keys} | _unsaved_modules(wrapped, saved)
        # peft writes trained embeddings twice if it also saves embeddings, under the names of its own wrapper.
        unused = {
            name for name in report.unexpected_keys if not (WRAPPER.search(name) and WRAPPER.sub(".", name) in saved)
        }
        # peft renames the tensors of the language model, but not those of the other parts.
        renamed = renamed_tensors(unused, missing)
        if renamed:
            set_peft_model_state_dict(wrapped, {new: saved[old] for old, new in renamed.items()})
    except ByeError:
        raise
    except Exception as error:
        raise AdapterMismatch(**facts, reason=clip(str(error), REASON_SHOWN)) from error
    differing = (missing - set(renamed.values())) | (unused - set(renamed))
    if differing:
        raise AdapterMismatch(**facts, reason=f"{len(differing)} tensors differ, such as {min(differing)}.")
    return wrapped


def vocabulary_rows(folder: Path) -> int | None:
    """Return the number of rows of the embeddings that an adapter brings; None if it brings none."""
    try:
        with safe_open(folder / ADAPTER_WEIGHTS, "pt") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys() if name.endswith(EMBEDDINGS)]  # noqa: SIM118
            return int(shapes[0][0]) if shapes and math.prod(shapes[0]) else None
    except (OSError, SafetensorError):
        return None  # add_adapter reports a damaged file


def name_targets(config: Any, network: torch.nn.Module, saved: Collection[str]) -> None:
    """Replace target modules that do not name exactly the modules of the file, by the names of those in `network`.

    Other tools write regular expressions, and names of an earlier layout of the model. The tensors of the file tell
    which modules were trained. The config stays unchanged if its targets do not describe the file.
    """
    stored = {module for name in saved if (module := _module_of(name))}
    if not stored or not all(_is_target(config.target_modules, module) for module in stored):
        return
    modules = {name for name, _ in network.named_modules()}
    if {name for name in modules if _is_target(config.target_modules, name)} == stored:
        return
    renamed = renamed_modules(stored, modules)
    if set(renamed) == stored:
        config.target_modules = sorted(renamed.values())
        config.exclude_modules = config.layers_to_transform = config.layers_pattern = None
        for patterns in (config.rank_pattern, config.alpha_pattern):
            patterns.update({renamed[name]: patterns.pop(name) for name in list(patterns) if name in renamed})


def renamed_modules(stored: Collection[str], modules: Collection[str]) -> dict[str, str]:
    """Match module names of an adapter's file to those of the model, if one module of the model fits best.

    The longest common end decides, as for tensors; then the number of other parts that both names have, such as
    language_model, which tells the language model's layers from the tower's.
    """
    ends: dict[str, list[str]] = {}
    for module in modules:
        ends.setdefault(module.rpartition(".")[2], []).append(module)
    matches = {}
    for name in stored:
        alike = [other for other in ends.get(name.rpartition(".")[2], ()) if _same_numbers(name, other)]
        fits = {other: (_common_end(name, other), len({*name.split(".")} & {*other.split(".")})) for other in alike}
        best = [other for other in alike if fits[other] == max(fits.values())]
        if name in modules or len(best) == 1:
            matches[name] = name if name in modules else best[0]
    return matches if len(set(matches.values())) == len(matches) else {}


def _module_of(name: str) -> str | None:
    """Return the module, without peft's prefix, that a tensor with this name in an adapter's file adapts."""
    parts = FIRST_FACTOR.split(name, maxsplit=1)
    return parts[0].removeprefix(PREFIX) if len(parts) > 1 else None


def _is_target(targets: Any, name: str) -> bool:
    """Return whether peft adapts the module `name` if its config has these target modules."""
    if isinstance(targets, str):
        return targets == ALL_LINEAR or re.fullmatch(targets, name) is not None
    return any(name == target or name.endswith(f".{target}") for target in targets or ())


def _unsaved_modules(wrapped: PeftModel, saved: Mapping[str, torch.Tensor]) -> set[str]:
    """Return the names of whole modules that the adapter's config trains but its file lacks.

    An adapter may save embeddings or not. Without an explicit choice, peft looks for the base model that the config
    names, in the working directory and on the hub; only the adapter's own folder may be read here.
    """
    names = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    return {name for name in names if ".lora_" not in name and name not in saved}


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
