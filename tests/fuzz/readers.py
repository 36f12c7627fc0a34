"""Feeds mutated data files to the readers: each input is read, or refused with an error of this software.

By hand: python -m tests.fuzz.readers [--inputs 1000000] [--seed 0]. Inputs are made in memory; the readers of text get
a file in memory too, the others one in the temporary folder. A failure prints the seed of its input.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bye_core.data import csv_source, json_source, sources, text_files
from bye_core.data.bounds import Budget
from bye_core.data.formats import FORMATS, Reader, complete_layout
from bye_core.data.formats.base import Layout
from bye_core.data.samples import read_samples
from bye_core.data.webdataset import TarSource
from bye_core.detect.entropy_file import _parse
from bye_core.errors import ByeError
from tests.data import hostile

ROOT = Path("/nonexistent-folder-of-a-fuzzer")
READER = Reader(FORMATS["vqa"], complete_layout(FORMATS["vqa"], Layout()))
READERS_OF_RECORDS = [Reader(form, complete_layout(form, Layout())) for form in FORMATS.values()]
PIECES = [
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b'"',
    b"\\",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"null",
    b"true",
    b"1",
    b"-",
    b"e9",
    b"NaN",
    b'"image"',
    b'"a.png"',
    b'"question"',
    b'"answer"',
    b'"conversations"',
    b'"from"',
    b'"value"',
    b"<image>",
    b"\\ud800",
    b"\\u0000",
    b"..",
    b"/",
    b"%2e",
    b"sep=;",
    b"data:image/png;base64,",
    b"\x1b[2J",
    b"'",
]
SEEDS = [text for text in hostile.TEXTS.values() if len(text) < 600] + [
    json.dumps([{"id": "a", "image": "a.png", "question": "What?", "answer": "A cat."}] * 2).encode(),
    json.dumps({"data": [{"image": ["a"], "conversations": [{"from": "human", "value": "<image>"}]}]}).encode(),
    b"image,question,answer\na.png,What?,A cat.\n" * 2,
    b'{"question_id": 1, "answer": "a", "entropy": {"0": 1.5}}\n',
]


def mutated(chance: random.Random, data: bytes) -> bytes:
    """Return `data` with a few bytes changed, removed, doubled, or replaced by pieces of the formats."""
    text = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        place, kind = chance.randrange(len(text) + 1), chance.randrange(5)
        if kind == 0 and text:
            text[place % len(text)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            text[place:place] = chance.choice(PIECES)
        elif kind == 2:
            del text[place : place + chance.randrange(20)]
        elif kind == 3:
            text[place:place] = text[max(0, place - chance.randrange(40)) : place]
        else:
            text[place : place + chance.randrange(8)] = chance.choice(PIECES)
    return bytes(text[:5000])


def _text_file(data: bytes) -> text_files.TextFile:
    text_files.reject_other_kinds(ROOT, data[:64])
    encoding = json.detect_encoding(data)
    if encoding.startswith("utf-8"):
        return text_files.TextFile(data.removeprefix(b"\xef\xbb\xbf"), "utf-8", b"", False, "")
    return text_files._recoded(ROOT, data, encoding, False, "")


def read_json(data: bytes, name: str = "data.json") -> None:
    source = json_source.JsonSource.__new__(json_source.JsonSource)
    _with_file(lambda: json_source.JsonSource.__init__(source, ROOT / name), data)
    _consume(source)


def read_lines(data: bytes) -> None:
    read_json(data, "data.jsonl")


def read_csv(data: bytes) -> None:
    source = csv_source.CsvSource.__new__(csv_source.CsvSource)
    _with_file(lambda: csv_source.CsvSource.__init__(source, ROOT / "data.csv"), data)
    _consume(source)


def _with_file(make: Callable[[], None], data: bytes) -> None:
    original = sources.read_text_file
    sources.read_text_file = lambda path: _text_file(data)
    try:
        make()
    finally:
        sources.read_text_file = original


def _consume(source: sources.TextSource) -> None:
    records = read_samples(source.rows(), READER, ROOT, budget=Budget(ROOT, 0))
    assert len(records.samples) + sum(fault.fatal for fault in records.faults) == records.size
    for index in range(min(records.size, 2)):
        source.record(index)


def read_record(data: bytes) -> None:
    """Any JSON value as the record of each format."""
    value = sources.parse(data.decode("utf-8", "surrogateescape"))
    values = value if isinstance(value, list) else [value]
    for reader in READERS_OF_RECORDS:
        read_samples(values[:3], reader, ROOT, budget=Budget(ROOT, 0))


def read_entropy(data: bytes) -> None:
    try:
        _parse(data)
    except (ValueError, OverflowError, RecursionError):
        return


def read_tar(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None, suffix=".tar") as file:
        file.write(data)
        file.flush()
        source = TarSource(Path(file.name))
        read_samples(source.rows(), READER, ROOT, budget=Budget(ROOT, 0))


TARGETS: list[tuple[Callable[[bytes], None], list[bytes]]] = [
    (read_json, SEEDS),
    (read_lines, SEEDS),
    (read_csv, SEEDS),
    (read_record, SEEDS),
    (read_entropy, SEEDS),
    (read_tar, [tar for tar in hostile.TARS.values() if len(tar) < 20_000]),
]
WEIGHTS = [30, 20, 20, 10, 18, 2]


def fuzz(count: int, seed: int) -> Counter[str]:
    """Try `count` inputs; return how many were read and how many refused, by reader. Raises what a reader raises."""
    chance, outcomes = random.Random(seed), Counter[str]()
    for number in range(count):
        (read, seeds) = chance.choices(TARGETS, WEIGHTS)[0]
        data = mutated(chance, chance.choice(seeds))
        start = time.process_time()
        try:
            read(data)
            outcomes[f"{read.__name__} read"] += 1
        except ByeError:
            outcomes[f"{read.__name__} refused"] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}, input {number}: {read.__name__}({data!r})") from error
        assert time.process_time() - start < 5, (seed, number)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    outcomes = fuzz(options.inputs, options.seed)
    print(f"seed {options.seed}: {options.inputs:,} inputs, {dict(sorted(outcomes.items()))}")  # noqa: T201


if __name__ == "__main__":
    main()
