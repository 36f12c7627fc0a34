"""CPU time and memory of reading a data set of each kind; all records share a few small images.

python -m tests.bench.test_reading [--records 100000] [--rounds 3] [--other FOLDER]
python -m pytest -m bench -n 0 -s tests/bench/test_reading.py

Each measurement is a process of its own on one core. `--other` names a checkout of another version: its times and
memory are shown beside those of this version, and the rounds of both alternate.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

RECORDS, ROUNDS, IMAGES = 20_000, 1, 50
SLOWEST = 4  # largest allowed ratio of the CPU time of any kind to that of LLaVA JSON
QUESTIONS = ("What is on the plate?", "How many people cross the street?", "Describe the scene in one sentence.")
ANSWER = "There are two slices of bread, a cup of coffee with milk, and a folded newspaper beside the plate."
CHILD = """
import json, sys, time
from bye_core.data import load_dataset
import pyarrow.parquet
def peak():  # Linux only
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
before, start = peak(), time.process_time()
dataset = load_dataset(sys.argv[1])
seconds = time.process_time() - start
print(json.dumps({"samples": len(dataset.samples), "seconds": seconds, "peak": peak() - before}))
"""
ROOT = Path(__file__).parents[2]


def conversations(number: int) -> list[dict[str, str]]:
    question = QUESTIONS[number % len(QUESTIONS)]
    first = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": f"{ANSWER} ({number})"}]
    return [*first, {"from": "human", "value": "And what else?"}, {"from": "gpt", "value": "Nothing else."}]


def llava_record(number: int) -> dict[str, Any]:
    return {"id": f"r{number:08d}", "image": f"images/{number % IMAGES}.png", "conversations": conversations(number)}


def chat_record(number: int) -> dict[str, Any]:
    texts = [message["value"].removeprefix("<image>\n") for message in conversations(number)]
    contents = [[{"type": "text", "text": text}] for text in texts]
    contents[0].insert(0, {"type": "image"})
    messages = [{"role": ("user", "assistant")[k % 2], "content": content} for k, content in enumerate(contents)]
    return {"id": f"r{number:08d}", "images": [f"images/{number % IMAGES}.png"], "messages": messages}


def table_row(number: int) -> dict[str, Any]:
    question = QUESTIONS[number % len(QUESTIONS)]
    answer = f"{ANSWER} ({number})"
    return {"id": f"r{number:08d}", "image": f"images/{number % IMAGES}.png", "question": question, "answer": answer}


def png(number: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def write_json(file: Path, records: Iterator[dict[str, Any]]) -> None:
    file.write_text("[" + ",\n".join(map(json.dumps, records)) + "]", encoding="utf-8")


def write_lines(file: Path, records: Iterator[dict[str, Any]]) -> None:
    file.write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")


def write_table(file: Path, records: Iterator[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(table_row(0)))
        writer.writeheader()
        writer.writerows(records)


def write_parquet(file: Path, records: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [{"bytes": png(number), "path": None} for number in range(IMAGES)]
    rows = [{**record, "image": images[number % IMAGES]} for number, record in enumerate(records)]
    pq.write_table(pa.Table.from_pylist(rows), file)


KINDS: dict[str, tuple[str, Callable[[Path, Iterator[dict[str, Any]]], None], Callable[[int], dict[str, Any]]]] = {
    "LLaVA JSON": ("llava.json", write_json, llava_record),
    "LLaVA JSONL": ("llava.jsonl", write_lines, llava_record),
    "chat JSONL": ("chat.jsonl", write_lines, chat_record),
    "VQA CSV": ("vqa.csv", write_table, table_row),
    "VQA parquet, images embedded": ("vqa.parquet", write_parquet, table_row),
}


def write_sets(folder: Path, records: int) -> None:
    (folder / "images").mkdir()
    for number in range(IMAGES):
        (folder / f"images/{number}.png").write_bytes(png(number))
    for name, write, record in KINDS.values():
        write(folder / name, map(record, range(records)))


def measure(file: Path, tree: Path) -> dict[str, float]:
    """Return the number of samples, the CPU seconds of reading `file`, and the MiB that it added to the peak memory."""
    command = [sys.executable, "-c", CHILD, str(file)]
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True, cwd=tree).stdout)


def report(records: int, rounds: int, trees: list[Path]) -> dict[str, list[dict[str, float]]]:
    """Print a line for each kind; return the fastest of all rounds for each tree, by kind."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        write_sets(Path(folder), records)
        for kind, (name, _, _) in KINDS.items():
            found = [[measure(Path(folder, name), tree) for tree in trees] for _ in range(rounds)]
            best = [min(by_tree, key=lambda result: result["seconds"]) for by_tree in zip(*found, strict=True)]
            assert all(result["samples"] == records for result in best), (kind, best)
            results[kind] = best
            texts = [f"{1e6 * one['seconds'] / records:6.1f} us a record, {one['peak']:5,.0f} MiB" for one in best]
            ratio = f"   {best[0]['seconds'] / best[1]['seconds']:.2f} times" if len(best) > 1 else ""
            sys.stdout.write(f"{kind:<30}{'   other: '.join(texts)}{ratio}\n")
            sys.stdout.flush()
    return results


@pytest.mark.bench
def test_no_kind_is_much_slower_than_another():
    sys.stdout.write("\n")
    results = report(RECORDS, ROUNDS, [ROOT])
    usual = results["LLaVA JSON"][0]["seconds"]
    assert all(result["seconds"] <= SLOWEST * usual for (result,) in results.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--other", type=Path)
    options = parser.parse_args()
    report(options.records, options.rounds, [ROOT, *([options.other.resolve()] if options.other else [])])
