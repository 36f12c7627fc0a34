"""Seconds and memory of sets of a million records, of the app on a run of a million samples, and of `detect` on more.

python -m tests.bench.test_large set [--samples 1000000]            check, start of a scan, export; JSON and parquet
python -m tests.bench.test_large app [--samples 1000000] [--layers 32 --heads 32]
python -m tests.bench.test_large detect [--samples 100000 1000000 10000000] [--layers 8 --heads 8]
python -m pytest -m bench -n 0 -s tests/bench/test_large.py         BYE_BENCH_SAMPLES records, 20,000 without

Each measurement runs in a process of its own. The memory is what this process and its children hold for themselves,
without pages of files that the system may drop (RssAnon, Linux only). --folder DIR keeps the made inputs for the next
time; a million samples of 32 layers x 32 heads take 6 GB of disk, ten million of 8 x 8 take 18 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "assets/demo"
SAMPLES = int(os.environ.get("BYE_BENCH_SAMPLES", "20000"))
REMOVED = 100  # one in so many samples is removed
DECISIONS = 21
Timer = Iterator[tuple[str, float, float]]


def timed(name: str, work: Callable[[], Any]) -> tuple[str, float, float]:
    """Return (name, seconds, seconds of CPU time of this process)."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return name, time.perf_counter() - start, time.process_time() - used


def measure_check(folder: Path) -> Timer:
    from bye_core import pipeline

    def check() -> None:
        for step in pipeline.check(data_of(folder), images=False):
            last = step
        assert last.facts["summary"]["refused"] == 0

    yield timed("check", check)


def measure_scan(folder: Path) -> Timer:
    from bye_core import pipeline

    def first_batch() -> None:
        run = folder / "scanned"
        shutil.rmtree(run, ignore_errors=True)
        settings = pipeline.ScanSettings(device="cpu")
        for step in pipeline.scan(str(DEMO / "model"), data_of(folder), run, None, settings):
            if step.done:
                return

    yield timed("first batch of a scan", first_batch)


def measure_export(folder: Path) -> Timer:
    from bye_core import pipeline

    shutil.rmtree(folder / "clean", ignore_errors=True)
    counts: dict[str, int] = {}
    yield timed(
        "export", lambda: counts.update(pipeline.export_run(folder / "run", folder / "clean", "same")["counts"])
    )
    assert counts["removed"] == -(-counts["records"] // REMOVED)


def measure_app(folder: Path) -> Timer:
    os.environ["BYE_HOME"] = str(folder / "home")
    from bye_core.ui.open_run import open_run
    from bye_core.ui.tabs.export import job
    from bye_core.ui.tabs.review import actions, decisions

    def ask(function: Callable[[dict], str], **request: Any) -> Callable[[], dict]:
        def asked() -> dict:
            answer = json.loads(function({"run": "made", **request}))
            assert "error" not in answer, answer
            return answer

        return asked

    yield timed("open", ask(actions.review_enter, asked="made"))
    yield timed("list page", ask(actions.review_cards, positions=list(range(1000, 1048))))
    yield timed("whole list", ask(actions.review_queue, query={"show": "undecided"}))
    yield timed("filter by text, first", ask(actions.review_queue, query={"show": "all", "text": "palace"}))
    yield timed("filter by text", ask(actions.review_queue, query={"show": "all", "text": "another"}))
    yield timed("filter by answer", ask(actions.review_queue, query={"show": "all", "answer": 0}))
    yield timed("sample", ask(actions.review_sample, position=0))
    times = [
        timed("", ask(decisions.review_decide, id=f"s{number:07d}", choice="reject", newest="000001"))[1:]
        for number in range(DECISIONS)
    ]
    yield "decide (median)", *map(statistics.median, zip(*times, strict=True))
    yield timed("marks", ask(decisions.review_marks))
    opened = open_run(folder / "home/runs/made")
    yield timed("cluster again (bye)", lambda: opened.detect("bye", {"tau": 1.5}))
    yield timed("cluster again (bye), all new", lambda: opened.detect("bye", {"bsi": "reference"}))
    yield timed("export plan", lambda: job.plan(opened.run))
    yield timed("export plan again", lambda: job.plan(opened.run))


def measure_bye(folder: Path) -> Timer:
    from bye_core import pipeline

    yield timed("detect --method bye", lambda: pipeline.detect_run(folder / "run", "bye"))


def measure_auto(folder: Path) -> Timer:
    from bye_core import pipeline

    yield timed("detect --method auto", lambda: pipeline.detect_run(folder / "run", "auto"))


MEASURES = {
    "set": (measure_check, measure_scan, measure_export),
    "parquet": (measure_check, measure_scan, measure_export),
    "app": (measure_app,),
    "detect": (measure_bye, measure_auto),
}


def data_of(folder: Path) -> Path:
    return next((folder / "data").glob("data.*"))


def make(folder: Path, kind: str, samples: int, layers: int, heads: int) -> None:
    """Make the input of a measurement in `folder`, unless it is there."""
    from bye_core import runs
    from bye_core.records import Decision
    from tests.bench.large_inputs import make_parquet, make_run, make_set

    if (folder / "made").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    path, digest = folder / "nowhere.json", "0"
    if kind != "detect":
        path = (make_parquet if kind == "parquet" else make_set)(folder / "data", samples)
        digest = digest_of(path)
    run = folder / ("home/runs/made" if kind == "app" else "run")
    make_run(run, samples, layers, heads, path, digest, "llava", holes=kind == "app")
    if kind != "detect":
        decisions = [Decision(f"s{number:07d}", "reject") for number in range(0, samples, REMOVED)]
        runs.Run.open(run).decide(decisions)
    if kind == "app":
        os.environ["BYE_HOME"] = str(folder / "home")
        from bye_core import pipeline

        pipeline.load(path)  # as the scan has done: the set is indexed
        pipeline.detect_run(run, "bye")
    (folder / "made").touch()


def digest_of(path: Path) -> str:
    from bye_core.files import file_sha256

    return file_sha256(path)


def own_memory(process: psutil.Process) -> float:
    """MiB that a process and its children hold for themselves."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            lines = Path(f"/proc/{one.pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
            total += next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
    except (psutil.Error, OSError):
        return 0.0
    return total / 1024


def in_child(*arguments: str) -> tuple[list[tuple[str, float, float]], float]:
    """Run this module with `arguments`; return (the measured times, MiB at most)."""
    command = [sys.executable, "-m", "tests.bench.test_large", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    process, peak, done = psutil.Process(child.pid), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, own_memory(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    told, _ = child.communicate()
    done.set()
    watcher.join()
    if child.returncode:
        return [(f"FAILED ({child.returncode})", float("nan"), float("nan"))], peak
    return [tuple(json.loads(line)) for line in told.splitlines() if line.startswith("[")], peak


def report(kind: str, samples: int, layers: int, heads: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Print and return {measurement: (seconds, MiB at most in its process)}."""
    own, sizes = folder / f"{kind}-{samples}", [str(samples), str(layers), str(heads)]
    in_child("--make", str(own), kind, *sizes)
    size = sum(file.stat().st_size for file in (own / "data").glob("data.*")) / 2**20
    sys.stdout.write(f"\n{kind}: {samples:,} samples" + (f", a file of {size:,.0f} MiB" if size else "") + "\n")
    found = {}
    for number in range(len(MEASURES[kind])):
        times, peak = in_child("--here", str(own), kind, str(number))
        for name, seconds, used in times:
            found[name] = seconds, peak
            sys.stdout.write(f"  {name:30} {seconds:9.2f} s {used:9.2f} s of CPU   {peak:7,.0f} MiB at most\n")
            sys.stdout.flush()
    return found


@pytest.mark.bench
def test_large_inputs() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("set", "parquet"):
            found = report(kind, SAMPLES, 2, 2, Path(folder))
            assert found["first batch of a scan"][0] <= 30
            assert found["export"][0] <= 120
            assert max(memory for _, memory in found.values()) <= 1024
        found = report("app", SAMPLES, 32, 32, Path(folder))
        bars = {
            "open": 3, "list page": 0.5, "filter by text": 1, "decide (median)": 0.15,
            "cluster again (bye), all new": 30, "export plan": 5,
        }  # fmt: skip
        assert {name: found[name][0] for name in bars if found[name][0] > bars[name]} == {}
        found = report("detect", SAMPLES, 8, 8, Path(folder))
        assert max(seconds for seconds, _ in found.values()) <= 600
        assert max(memory for _, memory in found.values()) <= 4096


def main() -> None:
    if sys.argv[1:2] == ["--make"]:
        folder, kind, *sizes = sys.argv[2:]
        make(Path(folder), kind, *map(int, sizes))
        return
    if sys.argv[1:2] == ["--here"]:
        folder, kind, number = sys.argv[2:]
        for measured in MEASURES[kind][int(number)](Path(folder)):
            print(json.dumps(measured), flush=True)  # noqa: T201
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(MEASURES))
    parser.add_argument("--samples", type=int, nargs="+", default=[SAMPLES])
    parser.add_argument("--layers", type=int)
    parser.add_argument("--heads", type=int)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    side = {"app": 32, "detect": 8}.get(args.kind, 2)
    with tempfile.TemporaryDirectory() as temporary:
        for samples in args.samples:
            report(args.kind, samples, args.layers or side, args.heads or side, args.folder or Path(temporary))


if __name__ == "__main__":
    main()
