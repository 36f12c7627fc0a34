"""How the memory of one sample grows with the length of its prompt: captured rows beside eager attention.

    python -m tests.bench.test_length             prints the table
    python -m pytest -m bench -s tests/bench      asserts the bars

The ways a, b and c are those of tests.bench.test_capture. Every peak is measured in a fresh process (Linux).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench.test_capture import growth, measure_memory, peak_memory

SIDES = (32, 45, 64, 90)  # image tokens a side: 1,024 to 8,100
# Small enough for the authors' way to keep all its attention of 8,000 tokens in 10 GiB.
SIZES = {"hidden": 128, "layers": 2, "heads": 4}
LINEAR = 1.1  # largest exponent that counts as linear (ours)


def measure(ways: str = "abc", sides: tuple[int, ...] = SIDES) -> dict[str, list[dict[str, float]]]:
    return {way: [measure_memory(way, side, "tests.bench.test_length") for side in sides] for way in ways}


@pytest.mark.bench
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's peak memory")
def test_capture_is_linear_where_eager_attention_is_quadratic():
    peaks = measure("ac")
    assert growth(peaks["c"][0], peaks["c"][-1]) <= LINEAR, peaks
    assert growth(peaks["a"][0], peaks["a"][-1]) > 1.6, peaks


def table() -> str:
    peaks = measure()
    lines = [
        "peak memory above the resting process, MiB, one sample",
        "tokens  bare  with capture  eager  eager / capture",
    ]
    for eager, bare, captured in zip(*peaks.values(), strict=True):
        cells = f"{bare['mib']:.1f}  {captured['mib']:.1f}  {eager['mib']:.1f}  {eager['mib'] / captured['mib']:.1f}"
        lines.append(f"{captured['tokens']:,.0f}  {cells}")
    exponents = (f"{growth(points[0], points[-1]):.2f}" for points in (peaks["b"], peaks["c"], peaks["a"]))
    return "\n".join([*lines, "length^  " + "  ".join(exponents)])


if __name__ == "__main__":
    answer = json.dumps(peak_memory(sys.argv[1], int(sys.argv[2]), **SIZES)) if len(sys.argv) == 3 else table()
    sys.stdout.write(answer + "\n")
