"""Splits a model over the processes of a training (FSDP2 of PyTorch, through the Trainer).

DDP holds the whole model on every GPU. With FSDP, every GPU holds an equal part of each layer's weights, and a layer is
whole only while it computes. LoRA's weights, their gradients and the optimizer's state are split too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import MixedPrecisionPolicy

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}  # by their names in accelerate
LAYERS_AT_ONCE = 2  # the layer that computes, and the next one, which is gathered meanwhile


def layer_classes(model: torch.nn.Module) -> dict[str, int]:
    """Return the classes of the layers that are split, by name, and how many layers of each the model has.

    transformers names them in `_no_split_modules`, also those of parts that this model does not have.
    """
    names = set(getattr(model, "_no_split_modules", None) or ())
    return dict(sorted(Counter(name for part in model.modules() if (name := type(part).__name__) in names).items()))


def planned_processes() -> int:
    """Return how many processes a training on this machine takes: one for each GPU, and at least 2."""
    return max(2, torch.cuda.device_count())


def trainer_options(model: torch.nn.Module) -> dict[str, Any]:
    """Return the options of TrainingArguments that split `model`."""
    return {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": list(layer_classes(model))}}


def switch_on(accelerator: Accelerator, options: Mapping[str, Any]) -> None:
    """Make `accelerator` split the model on CPUs too, and add up gradients in float32 as DDP does.

    accelerate splits models on GPUs only: on CPUs it would copy the whole model into every process and say nothing. If
    the model computes in 16 bits, it would also add up gradients and return the loss in 16 bits.
    """
    state = accelerator.state
    if state.distributed_type is not DistributedType.FSDP:
        state.fsdp_plugin = FullyShardedDataParallelPlugin(**options)
        state.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
    if accelerator.mixed_precision != "no":
        computed = DTYPES[accelerator.mixed_precision]
        policy = MixedPrecisionPolicy(param_dtype=computed, reduce_dtype=torch.float32)
        state.fsdp_plugin.mixed_precision_policy = policy


def gathered_weights(model: torch.nn.Module) -> dict[str, Any]:
    """Return the trained weights, whole and on the CPU, in the first process; {} in the others, which must call it too.

    The other weights of the model are not gathered.
    """
    return get_model_state_dict(
        model, options=StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    )


def weight_bytes(model: torch.nn.Module, processes: int) -> int:
    """Return the bytes of weights that each of `processes` processes holds at most (our estimate).

    These are its part of the model, and whole: the layers that compute, and all weights that are in no layer.
    """
    whole = _bytes(model)
    if processes == 1:
        return whole
    classes = layer_classes(model)
    layers = [_bytes(part) for part in model.modules() if type(part).__name__ in classes]
    return whole // processes + whole - sum(layers) + sum(sorted(layers)[-LAYERS_AT_ONCE:])


def _bytes(part: torch.nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in part.parameters())
