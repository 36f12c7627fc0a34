"""What a model does on a test set: clean performance and attack success."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bye_core import attacks
from bye_core.attacks.poison import plant
from bye_core.pipeline.scanning import BATCH
from bye_core.pipeline.sets import readable, ready
from bye_core.records import Progress, Sample


def evaluate(
    model: str,
    data: str | Path,
    adapter: str | Path | None = None,
    trigger: str | None = None,
    target: str = "Backdoor Attack!",
    size: float = 1 / 16,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Progress]:
    """CP on `data` and, where a trigger is named, ASR on triggered copies; the last item's facts hold both."""
    from bye_core.models import load_model
    from bye_core.train import evaluate as judge

    dataset, kind = ready(data, format, columns), attacks.make_trigger(trigger, size) if trigger else None
    samples = readable(dataset)
    loaded = load_model(model, adapter, device=device, dtype=dtype)
    batch, rounds = BATCH[loaded.device.type], 2 if kind else 1
    facts: dict[str, Any] = {"samples": len(samples), "left_out": dataset.size - len(samples)}

    def triggered(sample: Sample) -> list[Any]:
        return plant(sample, dataset.images(sample), kind, target, seed)[1]

    clean, attacked = [], []
    for answers in judge.generate_answers(loaded, samples, dataset.images, batch):
        clean += answers
        yield Progress("evaluate", len(clean), rounds * len(samples))
    facts |= {"cp": judge.clean_performance(clean), "by_question": judge.by_question(clean)}
    if kind:
        for answers in judge.generate_answers(loaded, samples, triggered, batch):
            attacked += answers
            yield Progress("evaluate", len(clean) + len(attacked), rounds * len(samples))
        facts |= {"asr": judge.attack_success(attacked, target), "trigger": trigger, "target": target}
    yield Progress("evaluate", rounds * len(samples), rounds * len(samples), "done", facts)
