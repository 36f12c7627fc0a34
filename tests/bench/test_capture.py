"""What capturing costs beside a bare forward pass, and what the authors' way costs.

    python -m tests.bench.test_capture            prints the tables
    python -m pytest -m bench -s tests/bench      asserts the bars

(a) the authors' way: eager, one sample a time, generate(max_new_tokens=1, output_attentions=True), all attentions
(b) a bare sdpa forward pass of the batch    (c) the same with rows captured and statistics made
(B) and (C) are (b) and (c) from pictures and text on: what a scan pays.
Rounds are interleaved and ratios taken within one: a busy machine is busy for all.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPImageProcessor, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from bye_core.attention.read import encode_batch, read_attention, read_batch
from bye_core.models.families.llava import Llava
from bye_core.models.loading import LoadedModel
from tests.models.families.llava import tiny_processor
from tests.models.tiny import picture, sample

OVERHEAD_BAR = 1.05  # (c) / (b), set by the project
ROUNDS = 7
PATCH = 4
SIDES = (12, 24, 36, 48)  # image tokens a side: 144 to 2304


def build(tokens_a_side: int, hidden: int, layers: int, heads: int) -> LoadedModel:
    """A LLaVA with random weights, a decoder of the sizes given and a small tower."""
    torch.manual_seed(0)
    side = tokens_a_side * PATCH
    tower = CLIPVisionConfig(
        hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, image_size=side,
        patch_size=PATCH,
    )  # fmt: skip
    text = LlamaConfig(
        hidden_size=hidden, intermediate_size=hidden * 11 // 4, num_hidden_layers=layers, num_attention_heads=heads,
        vocab_size=400, max_position_embeddings=8192,
    )  # fmt: skip
    config = LlavaConfig(vision_config=tower, text_config=text, image_token_id=3)
    processor = tiny_processor()
    processor.image_processor = CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    model = LlavaForConditionalGeneration(config).eval().requires_grad_(False)
    return LoadedModel(model, processor, Llava(processor, config), torch.device("cpu"), torch.float32, {})


def set_attention(loaded: LoadedModel, implementation: str) -> None:
    loaded.model.set_attn_implementation({"text_config": implementation})


def authors_way(loaded: LoadedModel, samples: list, images: list) -> None:
    set_attention(loaded, "eager")
    for one, pictures in zip(samples, images, strict=True):
        inputs = loaded.family.encode([loaded.family.prompt(one)], [pictures])
        with torch.inference_mode():
            output = loaded.model.generate(
                **inputs, max_new_tokens=1, do_sample=False, pad_token_id=0, output_attentions=True,
                return_dict_in_generate=True,
            )  # fmt: skip
        image = inputs["input_ids"][0] == 3
        rows = torch.stack([layer[0, :, -1, image].mean(dim=0) for layer in output.attentions[0]])  # [L, V]
        share = rows / rows.sum(dim=-1, keepdim=True)
        torch.special.entr(share).sum(dim=-1).numpy()
    set_attention(loaded, "sdpa")


def bare(loaded: LoadedModel, inputs: Any) -> int:
    with torch.inference_mode():
        return int(loaded.model(**inputs, logits_to_keep=1, use_cache=False).logits.argmax())


def bare_from_pictures(loaded: LoadedModel, samples: list, images: list) -> int:
    return bare(loaded, loaded.family.encode([loaded.family.prompt(s) for s in samples], images))


def interleaved(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, round by round, so that a busy machine is busy for all of them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in list(ways) if number % 2 else list(ways)[::-1]:
            start = time.perf_counter()
            ways[name]()
            if number:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return times


def ratio(times: dict[str, list[float]], one: str, other: str) -> float:
    """The median over the rounds of how much longer `one` took than `other` in the same round."""
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


def measure_time(batch: int = 8, rounds: int = ROUNDS, padded: bool = False) -> dict[str, list[float]]:
    torch.set_num_threads(1)
    loaded = build(24, hidden=512, layers=8, heads=8)
    samples = [sample(f"s{n}", "what colour is the cat ? " * (1 + padded * n)) for n in range(batch)]
    images = [[picture(n, 128, 96)] for n in range(batch)]
    ready = encode_batch(loaded.family, samples, images)
    ways = {
        "a": lambda: authors_way(loaded, samples, images),
        "b": lambda: bare(loaded, ready.inputs),
        "c": lambda: read_batch(loaded, ready),
        "B": lambda: bare_from_pictures(loaded, samples, images),
        "C": lambda: read_attention(loaded, samples, images),
    }
    return interleaved(ways, rounds)


def peak_memory(way: str, tokens_a_side: int, hidden: int = 256, layers: int = 6, heads: int = 8) -> dict[str, float]:
    """MiB above the resting process at the peak of one sample; for a fresh process (Linux)."""
    torch.set_num_threads(1)
    loaded = build(tokens_a_side, hidden, layers, heads)
    samples, images = [sample("a")], [[picture(0, 256, 256)]]
    ready = encode_batch(loaded.family, samples, images)
    set_attention(loaded, "sdpa")
    resting = status_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM to the present
    if way == "a":
        authors_way(loaded, samples, images)
    elif way == "b":
        bare(loaded, ready.inputs)
    else:
        read_batch(loaded, ready)
    return {"tokens": ready.inputs["input_ids"].shape[1], "mib": status_mib("VmHWM") - resting}


def status_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def measure_memory(way: str, tokens_a_side: int, module: str = "tests.bench.test_capture") -> dict[str, float]:
    command = [sys.executable, "-m", module, way, str(tokens_a_side)]
    # Larger blocks come straight from the system and go straight back: the allocator's cache is not measured.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def growth(low: dict[str, float], high: dict[str, float]) -> float:
    """The exponent of memory in length: 1 is linear, 2 quadratic."""
    return float(torch.tensor(high["mib"] / low["mib"]).log() / torch.tensor(high["tokens"] / low["tokens"]).log())


@pytest.mark.bench
@pytest.mark.parametrize("padded", [False, True])
def test_capturing_costs_at_most_a_twentieth(padded):
    times = measure_time(padded=padded)
    assert ratio(times, "c", "b") <= OVERHEAD_BAR, times
    assert ratio(times, "C", "B") <= OVERHEAD_BAR, times


@pytest.mark.bench
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's peak memory")
def test_memory_grows_linearly_with_length():
    low, high = (measure_memory("c", side) for side in (SIDES[1], SIDES[3]))
    assert growth(low, high) < 1.25, (low, high)
    assert growth(*(measure_memory("a", side) for side in (SIDES[1], SIDES[3]))) > 1.6


def table() -> str:
    lines = [f"seconds for 8 samples of 576 image tokens, medians of {ROUNDS} interleaved rounds, one thread"]
    for padded in (False, True):
        times = measure_time(padded=padded)
        cells = [f"{name} {statistics.median(seconds):.3f}" for name, seconds in times.items()]
        cells += [f"{one}/{other} {ratio(times, one, other):.3f}" for one, other in ("cb", "CB", "ac", "aC")]
        lines.append("  ".join(["padded  " if padded else "unpadded", *cells]))
    lines.append("peak memory above the resting process, MiB, one sample")
    peaks = {way: [measure_memory(way, side) for side in SIDES] for way in "abc"}
    lines.append("tokens  " + "  ".join(f"{point['tokens']:7.0f}" for point in peaks["a"]))
    for way, points in peaks.items():
        exponent = growth(points[1], points[-1])
        lines.append(f"{way}       " + "  ".join(f"{p['mib']:7.1f}" for p in points) + f"   length^{exponent:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    # One process a peak: a maximum cannot be measured twice in a process that keeps freed memory.
    answer = json.dumps(peak_memory(sys.argv[1], int(sys.argv[2]))) if len(sys.argv) == 3 else table()
    sys.stdout.write(answer + "\n")
