"""Kills stages with signal 9 at random times, and checks what is left: nothing acknowledged is lost.

By hand: python -m tests.fuzz.kills [--kills 200] [--seed 0] [--stages scan decide export detect finetune clean]
After each kill the stage starts again and ends; then no left-over may remain.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bye_core import files, pipeline
from bye_core.files import file_sha256
from bye_core.records import Decision
from bye_core.runs import Run
from tests import made_run
from tests.runs.made_rows import make_run, scan

COUNT = 240  # samples of a scan
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a killed process loses nothing that it has written
SETTINGS = pipeline.FinetuneSettings(rank=2, device="cpu", dtype="float32", epochs=2.0, save_steps=1)


def killed(action: Callable[[int], None], seconds: float) -> tuple[bool, list[str]]:
    """Run `action` in a child and kill it after `seconds`; return (whether it was killed, the lines it wrote)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        with contextlib.suppress(BaseException):
            action(writer)
        os._exit(0)
    os.close(writer)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with open(reader, "rb") as pipe:
        lines = pipe.read().decode().split("\n")[:-1]
    return os.WIFSIGNALED(status), lines


def leftovers(folder: Path) -> list[str]:
    names = [path.name for path in folder.rglob("*")]
    unfinished = [path.name for path in folder.glob("**/statistics/*") if not (path / "facts.json").exists()]
    return unfinished + [name for name in names if name.endswith((".tmp", ".new", ".part", ".old"))]


def kill_scan(folder: Path, chance: random.Random) -> bool:
    run = make_run(folder / "run", COUNT)
    was_killed, _ = killed(
        lambda _: (scan(run, 0, COUNT, shard_bytes=40_000), time.sleep(60)), chance.uniform(0.0, 0.4)
    )
    scored = Run.open(run.path).scored_ids()
    assert len(scored) % 4 == 0
    scan(Run.open(run.path), 0, COUNT, shard_bytes=40_000)
    assert len(Run.open(run.path).table().ids) == COUNT
    assert Run.open(run.path).verify() == ()
    return was_killed


def kill_decide(folder: Path, chance: random.Random) -> bool:
    run = make_run(folder / "run", 100)

    def decide(pipe: int) -> None:
        for number in range(1000):
            first, second = f"s{number % 100}", f"s{(number + 50) % 100}"
            batch = run.decide([Decision(first, "reject", note=str(number)), Decision(second, "accept")])
            os.write(pipe, f"{batch}\n".encode())

    was_killed, acknowledged = killed(decide, chance.uniform(0.0, 0.3))
    batches = Run.open(run.path).batches()
    assert {batch.id for batch in batches} >= set(acknowledged)
    assert len(batches) <= len(acknowledged) + 1
    assert all(len(batch.decisions) == 2 for batch in batches)
    assert Run.open(run.path).decide([Decision("s1", "none")])
    return was_killed


def kill_detect(folder: Path, chance: random.Random) -> bool:
    path = made_run.make_run(folder, samples=60, rate=0.25)
    expected = pipeline.detect_run(path, "bye", bsi="paper").flagged_ids

    def detect(_: int) -> None:
        while True:
            shutil.rmtree(path / "statistics", ignore_errors=True)
            pipeline.detect_run(path, "bye", bsi="paper")

    was_killed, _ = killed(detect, chance.uniform(0.0, 0.3))
    kept = Run.open(path).detection()
    assert kept is not None
    assert kept.flagged_ids == expected
    shutil.rmtree(path / "statistics", ignore_errors=True) if chance.random() < 0.5 else None
    with Run.open(path).writing():  # a rescan changes the statistics, so that they are written again
        Run.open(path)
    assert pipeline.detect_run(path, "bye", bsi="paper").flagged_ids == expected
    return was_killed


def kill_export(folder: Path, chance: random.Random) -> bool:
    path, out = made_run.make_run(folder, samples=60, rate=0.25), folder / "clean"
    pipeline.detect_run(path, "bye", bsi="paper")
    pipeline.decide(path, reject_flagged=True)
    if chance.random() < 0.5:
        pipeline.export_run(path, out)
    was_killed, _ = killed(lambda _: [pipeline.export_run(path, out) for _ in range(100)], chance.uniform(0.0, 0.3))
    if out.exists():
        assert_whole(out)
    pipeline.export_run(path, out)
    assert_whole(out)
    return was_killed


def assert_whole(out: Path) -> None:
    import json

    manifest = json.loads((out / "manifest.json").read_text())
    assert all(file_sha256(out / name) == digest for name, digest in manifest["files"].items())


class _Models:
    """A tiny model, made once."""

    path: Path

    def __init__(self, folder: Path) -> None:
        from tests.models.tiny import save_tiny

        _Models.path = save_tiny(folder / "tiny")


def kill_finetune(folder: Path, chance: random.Random) -> bool:
    data, out = made_run.make_data(folder / "data", 12), folder / "adapter"

    def train(_: int) -> None:
        for _ in pipeline.finetune(str(_Models.path), data, out, SETTINGS):
            pass

    was_killed, _ = killed(train, chance.uniform(1.0, 15.0))
    time.sleep(1.0)  # the training itself ends with its parent
    if not (out / "adapter_model.safetensors").exists():
        train(0)
    assert (out / "adapter_model.safetensors").exists()
    return was_killed


def kill_clean(folder: Path, chance: random.Random) -> bool:
    data, out = made_run.make_data(folder / "data", 12), folder / "clean"
    cleaning = pipeline.Cleaning(str(_Models.path), str(data), SETTINGS, "bye")

    def clean(_: int) -> None:
        for _ in pipeline.clean(cleaning, out):
            pass

    was_killed, _ = killed(clean, chance.uniform(1.0, 40.0))
    time.sleep(1.0)
    with contextlib.suppress(pipeline.NothingDetected):
        clean(0)
    return was_killed


STAGES = {
    "scan": kill_scan, "decide": kill_decide, "detect": kill_detect, "export": kill_export,
    "finetune": kill_finetune, "clean": kill_clean,
}  # fmt: skip


def kill(stage: str, count: int, seed: int) -> int:
    """Kill a stage `count` times; return how often it was killed before it had ended."""
    chance, kills = random.Random(seed), 0
    files.JUST_CREATED = 0.0  # a left-over is cleared away at once
    for _ in range(count):
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            kills += STAGES[stage](Path(folder), chance)
            assert leftovers(Path(folder)) == [], (stage, leftovers(Path(folder)))
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if {"finetune", "clean"} & set(options.stages):
            _Models(Path(folder))
        for stage in options.stages:
            count = max(1, options.kills // len(options.stages))
            print(f"{stage}: {kill(stage, count, options.seed)} of {count} killed, nothing lost")  # noqa: T201


if __name__ == "__main__":
    main()
