"""A training's settings, and what was found before it, in words for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PRESET = "a published recipe; options given beside it change it (paper: LLaVA-1.5; paper-internvl: rate 4e-5)"
SETTINGS = {
    "epochs": "passes over the data",
    "batch": "samples an optimizer step, of all processes together",
    "micro_batch": "samples in memory at once; gradients are accumulated up to the batch",
    "rate": "AdamW's learning rate at the start, falling linearly to 0",
    "rank": "LoRA's rank",
    "alpha": "LoRA's alpha",
    "dropout": "dropout of LoRA's input",
    "projector": "adapt the projector, too",
    "vision": "adapt the vision tower, too",
    "qlora": "hold the language model in 4 bits; needs bitsandbytes",
    "weight_decay": "AdamW's weight decay",
    "warmup": "share of the steps in which the rate rises",
    "clip": "largest norm of a gradient",
    "seed": "of LoRA's start, the order and dropout",
    "gradient_checkpointing": "compute activations twice instead of keeping them: less memory, slower",
    "save_steps": "a checkpoint every so many steps; 0: by time alone",
    "save_seconds": "a checkpoint every so many seconds; 0: by steps alone",
}
TORCHRUN = """several GPUs or machines, the same training as on one:
  torchrun --standalone --nproc_per_node GPUS -m bye_core finetune --here ...
  torchrun --nnodes N --node_rank I --master_addr HOST --nproc_per_node GPUS -m bye_core finetune --here ...
The batch is shared evenly; --out must be one folder that all machines see.
"""

TIGHT = "This may not fit: try a smaller --micro-batch, --gradient-checkpointing or --qlora."


def table(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of `Preflight.facts`, a line each."""
    return {
        "samples": facts["samples"],
        "left_out": facts["left_out"],
        "steps": facts["steps"],
        "tokens": tokens(facts["tokens"]),
        "trained_weights": facts["trained_weights"],
        "memory": memory(facts["memory"]),
    }


def tokens(found: Mapping[str, Any]) -> str:
    limit = f"; the model takes {found['limit']:,}" if found["limit"] else ""
    return f"{found['least']:,} to {found['most']:,}, median {found['median']:,}{limit}"


def memory(found: Mapping[str, Any]) -> str:
    parts = f"model {size(found['weights'])}, adapter {size(found['adapter'])}, a step {size(found['step'])}"
    return f"about {size(found['total'])} of {size(found['free'])} ({parts})"


def size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def left_out(facts: Mapping[str, Any]) -> Iterator[str]:
    """Which samples are left out and why, and a word where memory may be short."""
    for fault in facts["faults"]:
        yield f"left out  record {fault['index']}  {fault['id']}  {fault['kind']}: {fault['problem']} {fault['remedy']}"
    if facts["left_out"] > len(facts["faults"]):
        yield "in all    " + ", ".join(f"{count} x {kind}" for kind, count in facts["reasons"].items())
    if facts["memory"]["total"] > facts["memory"]["free"]:
        yield TIGHT
