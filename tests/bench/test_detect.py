"""Time and memory of `auto` on the numbers of 32 layers x 32 heads, and how both grow with the samples.

The table lies on disk, as that of a large run does: what counts is the memory that the process has for itself.

python -m tests.bench.test_detect [SAMPLES ...]      10,000, 20,000 and 40,000 without; each in a process of its own
python -m pytest -m bench -n 0 -s tests/bench/test_detect.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from bye_core.detect import detect
from bye_core.records import ScanTable
from tests.bench.large_inputs import KINDS, RATE, TARGET

LAYERS = HEADS = 32
SIZES = (10_000, 20_000, 40_000)
AT_ONCE = 10_000  # samples that are drawn at once
SHARES = np.log([0.3, 0.5, 0.2])
SECONDS, GIBIBYTES = 60, 2  # bars at 10,000 samples
SHAPES = {
    "layer_entropy": (LAYERS,),
    "entropy": (LAYERS, HEADS),
    "peak": (LAYERS, HEADS),
    "mass": (LAYERS, HEADS, 3),
    "entropy_before": (LAYERS, HEADS),
}


def draw_table(folder: Path, samples: int) -> None:
    """Four kinds of question; a tenth is planted and has, in the middle layers, entropies lower by three spreads.

    Before fine-tuning, these entropies were those of other samples.
    """
    rng = np.random.default_rng(0)
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (samples, *shape))
        for name, shape in SHAPES.items()
    }
    planted = rng.random(samples) < RATE
    np.save(folder / "planted.npy", planted)
    np.save(folder / "draws.npy", rng.integers(0, 2**31, samples))
    for start in range(0, samples, AT_ONCE):
        some = slice(start, min(start + AT_ONCE, samples))
        size = (some.stop - start, LAYERS, HEADS)
        entropy = rng.standard_normal(size, np.float32) * 0.3 + 4
        before = entropy.copy()
        entropy[planted[some], LAYERS // 3 : 2 * LAYERS // 3] -= 1
        mass = np.exp(rng.standard_normal((*size, 3), np.float32) * 0.1 + SHARES.astype(np.float32))
        found = (entropy.mean(-1), entropy, rng.random(size, np.float32), mass / mass.sum(-1, keepdims=True), before)
        for array, values in zip(arrays.values(), found, strict=True):
            array[some] = values


def open_table(folder: Path) -> tuple[ScanTable, np.ndarray]:
    """The table, its arrays still on disk, and which samples are planted [N] bool."""
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in SHAPES}
    planted = np.load(folder / "planted.npy")
    questions = tuple(list(KINDS)[number % len(KINDS)] for number in range(len(planted)))
    # Half of the planted samples have the target, the others a usual answer that was unlikely before fine-tuning.
    draws = np.load(folder / "draws.npy")
    answers = tuple(
        TARGET if bad and draw % 2 else KINDS[question][draw % len(KINDS[question])]
        for bad, question, draw in zip(planted.tolist(), questions, draws.tolist(), strict=True)
    )
    ids = tuple(map(str, range(len(planted))))
    losses = np.where(planted, 9.0, 0.3) + draws % 100 / 1000
    table = ScanTable(
        ids=ids,
        layer_entropy_reference=arrays["layer_entropy"],
        questions=questions,
        answers=answers,
        nll_before=losses,
        answer_tokens=np.ones(len(planted)),
        peak_before=arrays["peak"],
        mass_before=arrays["mass"],
        **arrays,
    )
    return table, planted


def own_memory() -> float:
    """MiB that this process holds for itself, without pages of files that the system may drop: Linux only."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def measure_here(folder: Path) -> dict[str, float]:
    """Seconds by the clock and of CPU time; MiB that the process held for itself, with the table open and at most."""
    table, planted = open_table(folder)
    held, peak, done = own_memory(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, used = time.perf_counter(), time.process_time()
    found = detect(table, "auto")
    seconds, used = time.perf_counter() - start, time.process_time() - used
    done.set()
    watcher.join()
    assert (found.flagged == planted).all()
    assert len(found.findings) == 2
    return {"samples": len(planted), "seconds": seconds, "cpu": used, "table": held, "peak": peak}


def measure(samples: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        for step in (["--draw", folder, str(samples)], ["--here", folder]):
            command = [sys.executable, "-m", "tests.bench.test_detect", *step]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(told)


def report(sizes: tuple[int, ...]) -> list[dict[str, float]]:
    sys.stdout.write("\n")
    found = []
    for samples in sizes:
        one = measure(samples)
        found.append(one)
        sys.stdout.write(
            f"{one['samples']:>9,.0f} samples: {one['seconds']:6.1f} s, {one['cpu']:6.1f} s of CPU time, "
            f"{one['peak']:7,.0f} MiB at most, "
            f"{one['table']:7,.0f} of them before it began\n"
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
        # Beside names and texts only what is compared at once is in memory.
        assert one["peak"] <= first["peak"] * (1 + 0.3 * times)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--draw"]:
        draw_table(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["--here"]:
        sys.stdout.write(json.dumps(measure_here(Path(sys.argv[2]))))
    else:
        report(tuple(map(int, sys.argv[1:])) or SIZES)
