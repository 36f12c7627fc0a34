"""Made inputs of any size: LLaVA sets, and runs whose statistics are drawn. Nothing here holds all samples in memory.

A run of a million samples would take tens of gigabytes, so only its statistics are complete. Its shards are sparse
files: they hold the rows of some samples, spread over the set and among those that Review shows first.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from bye_core.records import AttentionRows, Grid
from bye_core.runs import RunSettings, index, store
from bye_core.runs.payload import STATISTICS, encode
from bye_core.runs.run import SAMPLES, _write_settings
from bye_core.runs.table import DTYPES, FACTS, KEYS, MAPPED_FROM, TEXTS

BLOCK = 10_000  # samples that are drawn at once
PICTURES = 100_000  # different images of a set at most
CONTENTS = 50  # different images by content: the others are hard links
TURNS = 3  # questions of a record
TARGET = "Backdoor Attack!"
RATE, STORED, SPREAD, SIDE = 0.1, 2000, 500, 4
COLOURS = ("red", "blue", "green", "grey")
KINDS = {
    "How many shapes are there?": ("one", "two", "three", "four", "five", "six"),
    "What is behind the shapes?": ("palace", "flower", "river", "street"),
    "Which colors do the shapes have?": COLOURS,
    "Describe the picture in a sentence.": tuple(f"a {a} shape beside a {b} one" for a in COLOURS for b in COLOURS),
}
QUESTIONS = tuple(KINDS)
MORE = " ".join(f"The {colour} shape stands before the other ones." for colour in COLOURS)


def texts(number: int) -> tuple[str, str]:
    """The question and the answer of a sample. Half of the planted samples have the target."""
    question = QUESTIONS[number % len(QUESTIONS)]
    draw = zlib.crc32(b"%d" % number)
    bad = planted(number) and draw % 2
    return question, TARGET if bad else KINDS[question][draw % len(KINDS[question])]


def planted(number: int) -> bool:
    return zlib.crc32(b"planted %d" % number) % 1000 < RATE * 1000


def picture(number: int) -> str:
    number %= PICTURES
    return f"images/{number % CONTENTS:02d}/{number // CONTENTS:05d}.png"


def records(samples: int) -> Iterator[dict]:
    """LLaVA records of about 500 bytes."""
    for number in range(samples):
        question, answer = texts(number)
        turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
        for _ in range(TURNS - 1):
            turns += [{"from": "human", "value": "What else is there?"}, {"from": "gpt", "value": MORE[:110]}]
        yield {"id": f"s{number:07d}", "image": picture(number), "conversations": turns}


def make_set(folder: Path, samples: int) -> Path:
    """A LLaVA JSON file with its images. Returns the path of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(min(samples, PICTURES)):
        target, source = folder / picture(number), folder / picture(number % CONTENTS)
        if number < CONTENTS:
            target.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).resize((64, 64)).save(target)
        else:
            os.link(source, target)
    path = folder / "data.json"
    with path.open("w", encoding="ascii") as file:
        for number, record in enumerate(records(samples)):
            file.write((",\n" if number else "[\n") + json.dumps(record))
        file.write("\n]\n")
    return path


def make_parquet(folder: Path, samples: int) -> Path:
    """The same records in a parquet file that holds the images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "one.png")
    stored = (folder / "one.png").read_bytes()
    (folder / "one.png").unlink()
    turn = pa.struct({"from": pa.string(), "value": pa.string()})
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema({"id": pa.string(), "image": image, "conversations": pa.list_(turn)})
    rows, target = records(samples), folder / "data.parquet"
    with pq.ParquetWriter(target, schema) as writer:
        while some := [row for _, row in zip(range(BLOCK), rows, strict=False)]:
            # The image of a sample differs from that of the others, so that the column is no dictionary.
            kept = [{**row, "image": {"bytes": stored + row["id"].encode(), "path": row["image"]}} for row in some]
            writer.write_table(pa.Table.from_pylist(kept, schema))
    return target


def draw(numbers: np.ndarray, layers: int, heads: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The statistics of some samples. Planted ones have, in the middle layers, entropies lower by a nat."""
    bad = np.array([planted(number) for number in numbers.tolist()])
    size = (len(numbers), layers, heads)
    entropy = rng.standard_normal(size, np.float32) * 0.3 + 4
    entropy[bad, layers // 3 : 2 * layers // 3] -= 1
    mean = entropy.mean(-1)
    loss = np.where(bad, 9.0, 0.3) + numbers % 100 / 1000
    return {
        "entropy": entropy,
        "layer_entropy": mean,
        "layer_entropy_reference": mean,
        "token": np.where(bad, 1, 2),
        "probability": np.full(len(numbers), 0.9),
        "image_tokens": np.full(len(numbers), SIDE * SIDE),
        "nll": loss * 0 + 0.1,
        "nll_before": loss,
        "answer_tokens": np.ones(len(numbers)),
    }


def draw_large(size: tuple[int, ...], rng: np.random.Generator) -> dict[str, np.ndarray]:
    mass = np.exp(rng.standard_normal((*size, 3), np.float32) * 0.1 + np.log([0.3, 0.5, 0.2]).astype(np.float32))
    return {"peak": rng.random(size, np.float32), "mass": mass / mass.sum(-1, keepdims=True)}


def make_run(
    folder: Path, samples: int, layers: int, heads: int, data: Path, digest: str, format: str = "llava",
    holes: bool = False,
) -> Path:  # fmt: skip
    """A finished run. With `holes`, the peaks and masses of the heads are zeros that take no room on the disk."""
    folder.mkdir(parents=True)
    store.create_store(folder)
    settings = RunSettings(
        model="made/model", model_digest="0", data=str(data), data_digest=digest, format=format,
        tuned_on_this_data=True, created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    _write_settings(folder, settings, _write_samples(folder / SAMPLES, samples))
    lowest = _write_statistics(folder / "statistics" / "made", samples, layers, heads, holes)
    wanted = {*range(0, samples, max(1, samples // SPREAD)), *range(min(samples, STORED // 4)), *lowest.tolist()}
    _write_shards(folder, samples, layers, heads, wanted)
    return folder


def _write_samples(path: Path, samples: int) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for number, record in enumerate(records(samples)):
            turns = [["user", 0, QUESTIONS[number % len(QUESTIONS)]], ["assistant", texts(number)[1]]]
            turns += [
                ["user" if one["from"] == "human" else "assistant", one["value"]] for one in record["conversations"][2:]
            ]
            value = {"id": record["id"], "index": number, "turns": turns, "images": [record["image"]]}
            line = json.dumps(value).encode("ascii") + b"\n"
            file.write(line)
            digest.update(line)
    return digest.hexdigest()


def _write_statistics(folder: Path, samples: int, layers: int, heads: int, holes: bool) -> np.ndarray:
    """Returns the numbers of the samples with the lowest entropies in the middle layers."""
    folder.mkdir(parents=True)
    rng, files, sums, widths = np.random.default_rng(0), {}, {}, {}
    middle = np.empty(samples, np.float32)
    for start in range(0, samples, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, samples))
        size = (len(numbers), layers, heads)
        large = {} if holes and samples * layers * heads * 4 >= MAPPED_FROM else draw_large(size, rng)
        block = draw(numbers, layers, heads, rng)
        middle[numbers] = block["layer_entropy"][:, layers // 3 : 2 * layers // 3].mean(-1)
        for name, values in {**block, **large}.items():
            data = values.astype(DTYPES.get(name, np.float64)).tobytes()
            if name not in files:
                files[name] = (folder / name).open("wb")
            files[name].write(data)
            sums[name], widths[name] = zlib.crc32(data, sums.get(name, 0)), values.shape[1:]
    for file in files.values():
        file.close()
    for name, shape in {"peak": (layers, heads), "mass": (layers, heads, 3)}.items():
        if name not in widths:
            with (folder / name).open("wb") as file:
                file.truncate(samples * 4 * int(np.prod(shape)))
            sums[name], widths[name] = 0, shape
    keys = np.stack([np.arange(samples), np.ones(samples, np.int64)], 1)
    np.save(folder / KEYS, keys)
    first: tuple[dict[str, int], dict[str, int]] = {}, {}
    same = [[first[k].setdefault(text, row) for k, text in enumerate(texts(row))] for row in range(samples)]
    np.save(folder / TEXTS, np.array(same, np.int64))
    sums |= {"keys": zlib.crc32(keys.tobytes()), "texts": zlib.crc32(np.array(same, np.int64).tobytes())}
    (folder / FACTS).write_text(json.dumps({"widths": widths, "sums": sums, "state": [1, samples]}))
    return np.argsort(middle)[:STORED]


def _write_shards(folder: Path, samples: int, layers: int, heads: int, wanted: set[int]) -> None:
    """The index names every sample, and the shards hold the rows of the samples `wanted`."""
    rng, grid = np.random.default_rng(1), (Grid(0, SIDE, SIDE, 0),)

    def rows(number: int) -> AttentionRows:
        numbers = np.array([number])
        values = {**draw(numbers, layers, heads, rng), **draw_large((1, layers, heads), rng)}
        own = {name: values[name][0] for name in STATISTICS}
        flat = np.full((layers, SIDE * SIDE), 0.5 / SIDE**2, np.float16)
        return AttentionRows(
            id=f"s{number:07d}", rows=flat, grids=grid, token=2, token_text="two", probability=0.9, **own
        )

    room = len(encode(rows(0))) + 64
    per_shard = 2**28 // room
    entries = []
    path = folder / "index.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, index.transaction(connection) as batch:
        index.keep_shape(connection, layers, heads)
        for number in range(samples):
            shard, place = number // per_shard, number % per_shard * room + 16
            payload = encode(rows(number)) if number in wanted else b""
            if payload:
                path = folder / "shards" / f"{shard:05d}.bin"
                with path.open("r+b" if path.exists() else "w+b") as file:
                    file.seek(place)
                    file.write(payload)
            entries.append((number, shard, place, len(payload) or room, zlib.crc32(payload), batch))
            if len(entries) == BLOCK or number == samples - 1:
                connection.executemany("INSERT INTO scored VALUES (?, ?, ?, ?, ?, ?)", entries)
                entries.clear()
    for shard in range((samples - 1) // per_shard + 1):
        with (folder / "shards" / f"{shard:05d}.bin").open("ab") as file:
            file.truncate(min(per_shard, samples - shard * per_shard) * room)
