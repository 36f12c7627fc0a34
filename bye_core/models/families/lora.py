"""Finds the modules of a model that LoRA adapts, by the names of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bye_core.models.errors import NoSuchModule

if TYPE_CHECKING:
    import torch

# In some model types with fused experts, peft takes these names of other modules for those of the experts in earlier
# versions, and would adapt all experts instead.
EXPERT_PARTS = (".gate_proj", ".up_proj", ".down_proj", ".gate", ".shared_expert_gate", ".router", ".router.proj")


def has_fused_experts(model: torch.nn.Module) -> bool:
    """Return whether the model has one parameter for all experts of a layer; LoRA leaves such experts unchanged."""
    return any(".experts." in name and weights.dim() == 3 for name, weights in model.named_parameters())


def linear_modules(model: torch.nn.Module, parts: Sequence[str], excluded: Sequence[str]) -> list[str]:
    """Return the full names of the linear modules inside `parts` that LoRA can adapt, without those in `excluded`.

    In a model with fused experts (one parameter for all experts of a layer), all feed-forward layers are left out.
    Raises: NoSuchModule if the model lacks one of the parts.
    """
    from torch.nn import Linear
    from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

    modules = dict(model.named_modules())
    for name in parts:
        if name not in modules:
            raise NoSuchModule(name=name)
    fused = has_fused_experts(model)
    inside, outside = (tuple(f"{name}." for name in names) for names in (parts, excluded))
    return [
        name
        for name, module in modules.items()
        # torch's MultiheadAttention reads the weights of its output layer and never calls it.
        if isinstance(module, Linear) and not isinstance(module, NonDynamicallyQuantizableLinear)
        if f"{name}.".startswith(inside) and not f"{name}.".startswith(outside)
        if not (fused and name.endswith(EXPERT_PARTS))
    ]
