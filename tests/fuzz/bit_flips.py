"""Flips bits in every file of a run and checks that each is harmless or named.

By hand: python -m tests.fuzz.bit_flips [--flips 1000] [--seed 0] [--samples 40]
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bye_core import pipeline
from bye_core.errors import ByeError
from bye_core.files import to_json_values
from bye_core.records import CausalCheck, Decision, Fault
from bye_core.runs import Run
from tests import made_run


def make(folder: Path, samples: int) -> Path:
    """A run with everything that a run can hold."""
    path = made_run.make_run(folder, samples=samples, rate=0.25)
    run = Run.open(path)
    with run.writing():
        run.append([], [Fault("s00001", 1, "Odd", "A problem.", "A remedy.", fatal=False)])
    pipeline.detect_run(path, "bye", bsi="paper")
    run.decide([Decision(f"s{number:05d}", "reject", "Jo", "-M*J") for number in range(5)])
    run.decide([Decision("s00001", "accept")])
    run.undo()
    run.decide([Decision("s00002", "accept")])
    with run.checking() as checks:
        checks.append([CausalCheck("s00001", "k", {"all": "a cat"}, covered=[[0.0, 0.0, 1.0, 1.0]])])
    return path


def content(path: Path) -> dict[str, Any]:
    """Everything that a reader of the run sees."""
    run = Run.open(path)
    table = run.table()
    rows = {row.id: (row.rows.tobytes(), row.token, row.token_text) for row in run.rows_of(table.ids)}
    numbers = {name: array.tobytes() for name, array in vars(table).items() if hasattr(array, "tobytes")}
    return {
        "settings": asdict(run.settings), "samples": run.samples(), "ids": table.ids, "numbers": numbers, "rows": rows,
        "faults": run.faults(), "counts": run.counts(), "detection": to_json_values(run.detection()),
        "decisions": run.decisions(), "batches": run.batches(), "checks": run.checks(),
    }  # fmt: skip


def judge(path: Path, before: dict[str, Any]) -> str:
    """Return "harmless" or "named"; "silent" if something differs and nothing says so."""
    try:
        damaged = set(Run.open(path).verify())  # as `detect` does
        after = content(path)
    except ByeError:
        return "named"
    if after == before:
        return "harmless"
    missing = set(before["ids"]) - set(after["ids"])
    same = all(after["rows"].get(id) == before["rows"][id] for id in after["ids"])
    return "named" if damaged and missing == damaged and same else "silent"


def rescanned(path: Path, before: dict[str, Any]) -> bool:
    """Return whether opening the run for writing, as a scan does, finds all or names what is missing."""
    try:
        run = Run.prepare(path, Run.open(path).settings, before["samples"])
        with run.writing():
            pass
    except ByeError:
        return True
    kept = run.scored_ids()
    return kept <= set(before["ids"]) and (kept == set(before["ids"]) or run.counts().scored < len(before["ids"]))


def flips(folder: Path, count: int, seed: int, samples: int) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Return (outcomes by file, what was silent)."""
    source, chance = make(folder / "made", samples), random.Random(seed)
    before = content(source)
    assert content(source) == before
    files = sorted(file.relative_to(source) for file in source.rglob("*") if file.is_file() and file.stat().st_size)
    outcomes: Counter[tuple[str, str]] = Counter()
    silent = []
    for number in range(count):
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
        file = files[number % len(files)]
        data = bytearray((copy / file).read_bytes())
        bit = chance.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        (copy / file).write_bytes(data)
        verdict = judge(copy, before)
        if verdict != "silent" and not rescanned(copy, before):
            verdict = "silent"
        outcomes[file.name, verdict] += 1
        if verdict == "silent":
            silent.append(f"{file} bit {bit}")
    return outcomes, silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        outcomes, silent = flips(Path(folder), options.flips, options.seed, options.samples)
    for (file, verdict), count in sorted(outcomes.items()):
        print(f"{file}: {count} {verdict}")  # noqa: T201
    print(f"seed {options.seed}: {options.flips} flips, {len(silent)} silent {silent[:20]}")  # noqa: T201


if __name__ == "__main__":
    main()
