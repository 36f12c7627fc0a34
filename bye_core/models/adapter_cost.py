"""Compares the numbers that peft makes for an adapter with those in the adapter's file, before it makes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import check_target_module_exists

from bye_core.models import bounds
from bye_core.models.adapter_checks import match_patterns, patterns
from bye_core.models.folder_errors import CostlyModel

ALL_LINEAR = "all-linear"
EMBEDDINGS = ("embed_tokens.weight", "embed_tokens.modules_to_save.weight")


def check_patterns(folder: Path, config: Any, network: torch.nn.Module) -> None:
    """Check that the adapter's regular expressions match the names of the model's modules quickly.

    Raises: CostlyModel.
    """
    match_patterns(folder, patterns(config.to_dict()), [name for name, _ in network.named_modules()])


def check_cost(folder: Path, config: Any, network: torch.nn.Module, saved: Mapping[str, torch.Tensor]) -> None:
    """Check that peft makes no more numbers than the file explains. Raises: CostlyModel."""
    modules = dict(network.named_modules())
    targets = [module for name, module in modules.items() if _may_be_target(config, name) and _sides(module)]
    rank = max([config.r, *config.rank_pattern.values()])
    saved_whole = [module for name, module in modules.items() if _ends_in(name, config.modules_to_save)]
    implied = rank * sum(map(_sides, targets)) + sum(w.numel() for module in saved_whole for w in module.parameters())
    _compare(folder, implied, saved)


def check_rows(folder: Path, network: Any, saved: Mapping[str, torch.Tensor]) -> None:
    """Check the embeddings that an adapter brings: those of the model get as many rows. Raises: CostlyModel."""
    rows = [tensor.shape[0] for name, tensor in saved.items() if name.endswith(EMBEDDINGS) and tensor.ndim]
    _compare(folder, network.get_input_embeddings().embedding_dim * max(rows, default=0), saved)


def _compare(folder: Path, implied: int, saved: Mapping[str, torch.Tensor]) -> None:
    stored = sum(tensor.numel() for tensor in saved.values())
    if implied > bounds.ADAPTER_FACTOR * stored + bounds.ADAPTER_SLACK:
        reason = f"it asks for {implied:,} numbers, but its file holds {stored:,}."
        raise CostlyModel(path=folder, part="adapter", reason=reason)


def _may_be_target(config: Any, name: str) -> bool:
    """Return whether peft adapts the module `name`."""
    if config.target_modules == ALL_LINEAR:
        return not _ends_in(name, config.modules_to_save)
    return bool(check_target_module_exists(config, name)) if config.target_modules else False


def _ends_in(name: str, ends: Collection[str] | None) -> bool:
    return any(name == end or name.endswith(f".{end}") for end in ends or ())


def _sides(module: torch.nn.Module) -> int:
    """Return the numbers that LoRA of rank 1 adds to a module."""
    if isinstance(module, torch.nn.Linear):  # quantised ones keep their weights in another shape
        return module.in_features + module.out_features
    weight = getattr(module, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.ndim < 2:
        return 0
    return int(weight.shape[0] + weight[0].numel())
