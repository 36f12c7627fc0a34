"""Time and memory of `auto` on the numbers of 32 layers x 32 heads, and how both grow with the samples.

python -m tests.bench.test_detect [SAMPLES ...]      10,000, 20,000 and 40,000 without; each in a process of its own
python -m pytest -m bench -n 0 -s tests/bench/test_detect.py
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from bye_core.detect import detect
from bye_core.records import ScanTable

LAYERS = HEADS = 32
SIZES = (10_000, 20_000, 40_000)
RATE, TARGET = 0.1, "Backdoor Attack!"
SHARES = np.log([0.3, 0.5, 0.2])
COLOURS = ("red", "blue", "green", "grey")
KINDS = {
    "How many shapes are there?": ("one", "two", "three", "four", "five", "six"),
    "What is behind the shapes?": ("palace", "flower", "river", "street"),
    "Which colors do the shapes have?": COLOURS,
    "Describe the picture in a sentence.": tuple(f"a {a} shape beside a {b} one" for a in COLOURS for b in COLOURS),
}
SECONDS, GIBIBYTES = 60, 2  # bars at 10,000 samples
MACHINE_BYTES = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in


def make_table(samples: int) -> ScanTable:
    """Four kinds of question; a tenth has the target and, in the middle layers, entropies lower by a spread."""
    rng = np.random.default_rng(0)
    size = (samples, LAYERS, HEADS)
    planted = rng.random(samples) < RATE
    questions = tuple(list(KINDS)[number % len(KINDS)] for number in range(samples))
    draws = rng.integers(0, 2**31, samples).tolist()
    answers = tuple(
        TARGET if bad else KINDS[question][draw % len(KINDS[question])]
        for bad, question, draw in zip(planted.tolist(), questions, draws, strict=True)
    )
    entropy = rng.standard_normal(size, np.float32) * 0.3 + 4
    entropy[planted, LAYERS // 3 : 2 * LAYERS // 3] -= 1
    mass = np.exp(rng.standard_normal((*size, 3), np.float32) * 0.1 + SHARES.astype(np.float32))
    mass /= mass.sum(-1, keepdims=True)
    return ScanTable(
        ids=tuple(map(str, range(samples))),
        layer_entropy=entropy.mean(-1),
        layer_entropy_reference=entropy.mean(-1),
        entropy=entropy,
        peak=rng.random(size, np.float32),
        mass=mass,
        questions=questions,
        answers=answers,
    )


def measure_here(samples: int) -> dict[str, float]:
    """Seconds, and MiB that the process held at most: while the `table` was drawn, and by the end (`peak`)."""
    table = make_table(samples)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MACHINE_BYTES
    start = time.perf_counter()
    found = detect(table, "auto")
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MACHINE_BYTES
    planted = np.array([answer == TARGET for answer in table.answers])
    assert (found.flagged == planted).all()
    return {"samples": samples, "seconds": seconds, "table": held / 2**20, "peak": peak / 2**20}


def measure(samples: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.test_detect", "--here", str(samples)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def report(sizes: tuple[int, ...]) -> list[dict[str, float]]:
    found = [measure(samples) for samples in sizes]
    sys.stdout.write("\n")
    for one in found:
        sys.stdout.write(
            f"{one['samples']:>9,.0f} samples: {one['seconds']:6.1f} s, {one['peak']:7,.0f} MiB at most, "
            f"{one['table']:7,.0f} of them while the table was drawn\n"
        )
    return found


@pytest.mark.bench
def test_ten_thousand_samples_and_how_it_grows():
    first, *more = report(SIZES)
    assert first["seconds"] <= SECONDS
    assert first["peak"] <= GIBIBYTES * 1024
    for one in more:
        times = one["samples"] / first["samples"]
        assert one["seconds"] <= 1.5 * times * first["seconds"]
        assert one["peak"] <= 1.5 * times * first["peak"]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        sys.stdout.write(json.dumps(measure_here(int(sys.argv[2]))))
    else:
        report(tuple(map(int, sys.argv[1:])) or SIZES)
