"""The help texts of the training settings, and the preflight results in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PRESET = "a published recipe, which other options override (paper: LLaVA-1.5; paper-internvl: rate 4e-5)"
SETTINGS = {
    "epochs": "passes over the data",
    "batch": "samples of one optimizer step, over all processes",
    "micro_batch": "samples in memory at once; gradients are accumulated up to the batch",
    "rate": "initial learning rate of AdamW; it falls linearly to 0",
    "rank": "rank of LoRA",
    "alpha": "alpha of LoRA",
    "dropout": "dropout of the inputs of LoRA",
    "projector": "also adapt the projector",
    "vision": "also adapt the vision tower",
    "qlora": "hold the language model in 4 bits; needs bitsandbytes",
    "fsdp": "split the model over the GPUs of a torchrun training (FSDP2), for a model that does not fit one GPU",
    "weight_decay": "weight decay of AdamW",
    "warmup": "share of the steps with a rising learning rate",
    "clip": "largest norm of the gradient",
    "seed": "random seed of LoRA's initial weights, the order of the samples and dropout",
    "gradient_checkpointing": "compute activations twice instead of keeping them: less memory, slower",
    "save_steps": "number of steps between two checkpoints; 0: only by time",
    "min_pixels": "least pixels of a resized image, for models with such a setting; 0: that of the model's folder",
    "max_pixels": "most pixels of a resized image, for models with such a setting; 0: that of the model's folder",
    "save_seconds": "seconds between two checkpoints; 0: only by steps",
}
TORCHRUN = """train on several GPUs or machines, with the same result as on one:
  torchrun --standalone --nproc_per_node GPUS -m bye_core finetune --here ...
  torchrun --nnodes N --node_rank I --master_addr HOST --nproc_per_node GPUS -m bye_core finetune --here ...
The processes share each batch evenly. --out must be a folder that all machines can access.
With --fsdp they also share the weights. --dry-run --fsdp prints the command.
"""

EXPERTS = "The experts of this model stay unchanged: LoRA adapts the attention layers and the projector."
TIGHT = "The memory may be too small: use a smaller --micro-batch, --gradient-checkpointing or --qlora."


def table(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the main values of `Preflight.facts`; token counts and memory become text with units."""
    return {
        "samples": facts["samples"],
        "left_out": facts["left_out"],
        "steps": facts["steps"],
        "tokens": tokens(facts["tokens"]),
        "trained_weights": facts["trained_weights"],
        "memory": memory(facts["memory"]),
    }


def tokens(lengths: Mapping[str, Any]) -> str:
    limit = f"; the model accepts {lengths['limit']:,}" if lengths["limit"] else ""
    return f"{lengths['least']:,} to {lengths['most']:,}, median {lengths['median']:,}{limit}"


def memory(estimate: Mapping[str, Any]) -> str:
    parts = f"model {size(estimate['weights'])}, adapter {size(estimate['adapter'])}, a step {size(estimate['step'])}"
    return f"about {size(estimate['total'])} of {size(estimate['free'])} ({parts})"


def size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def left_out(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each sample that is left out, with the reason, and notes on FSDP, experts and memory."""
    for fault in facts["faults"]:
        number = f"{fault['index'] + 1:,}"
        yield f"left out  record {number}  {fault['id']}  {fault['kind']}: {fault['problem']} {fault['remedy']}"
    if facts["left_out"] > len(facts["faults"]):
        yield "in all    " + ", ".join(f"{count} x {kind}" for kind, count in facts["reasons"].items())
    if split := facts.get("fsdp"):
        layers = ", ".join(f"{count} x {name}" for name, count in split["layers"].items())
        yield f"fsdp      {split['processes']} processes share the weights of the layers {layers}, and the rest"
        yield f"start     {split['start']}"
    if facts.get("frozen_experts"):
        yield EXPERTS
    if facts["memory"]["total"] > facts["memory"]["free"]:
        yield TIGHT
