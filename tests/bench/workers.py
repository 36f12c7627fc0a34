"""Times a scan of the demo's samples in one process and with workers: `python -m tests.bench.workers --counts 0 1 2`.

Every process has one thread, so that workers do not share the cores of one process. Rounds are interleaved. Prints for
each number of workers the seconds until the first batch (imports, Ray, loading) and the samples a second after it, and
whether the stored bytes are those of the first way.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[2] / "assets/demo"
ADAPTER = ASSETS / "adapters/poisoned"


def measure(data: Path, run: Path, count: int) -> tuple[float, float, str]:
    """Return (seconds until the first batch, samples a second after it, digest of the stored statistics)."""
    from bye_core import pipeline

    settings = pipeline.ScanSettings(
        batch=8, device="cpu", answers=True, loaders=0, workers=pipeline.WorkerSettings(count)
    )
    began = first = time.perf_counter()
    before = done = 0
    for step in pipeline.scan(str(ASSETS / "model"), data, run, ADAPTER, settings):
        if not before and step.done:
            first, before = time.perf_counter(), step.done
        done = step.done
    rate = (done - before) / (time.perf_counter() - first)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((run / "shards").iterdir()))).hexdigest()
    return first - began, rate, digest


def first_records(count: int, folder: Path) -> Path:
    """Write a set of the first records of the demo's poisoned set, with its images."""
    records = json.loads((ASSETS / "data/poisoned.json").read_text(encoding="utf-8"))[:count]
    (folder / "data/images").mkdir(parents=True)
    for record in records:
        shutil.copy(ASSETS / "data" / record["image"], folder / "data" / record["image"])
    (folder / "data/data.json").write_text(json.dumps(records), encoding="utf-8")
    return folder / "data/data.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--first", type=int, default=160, help="how many records of the set to scan")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    results: dict[int, list[tuple[float, float, str]]] = {count: [] for count in args.counts}
    with tempfile.TemporaryDirectory() as folder:
        data = first_records(args.first, Path(folder))
        for number in range(args.rounds):
            for count in args.counts:
                results[count].append(measure(data, Path(folder) / f"{number}-{count}", count))
    expected = results[args.counts[0]][0][2]
    for count, rounds in results.items():
        start, rate = (statistics.median(column) for column in list(zip(*rounds, strict=True))[:2])
        same = all(digest == expected for *_, digest in rounds)
        sys.stdout.write(f"{count} workers: first batch {start:.1f} s, {rate:.1f} samples/s, same bytes: {same}\n")


if __name__ == "__main__":
    main()
