"""Makes small files that decode to far more than they hold. `scale` 1 makes them as large as an attacker did."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _parquet(path: Path, columns: dict[str, Any], **options: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, compression="zstd", store_schema=False, **options)


def _text(megabytes: float) -> str:
    return "x" * int(megabytes * 2**20)


def repeated_cell(folder: Path, scale: float) -> Path:
    """5,000 rows that share one text of 1 MB, in a dictionary of one entry."""
    import pyarrow as pa

    path, rows = folder / "train.parquet", int(5000 * scale)
    answers = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [_text(1)])
    _parquet(path, {"image": ["a.png"] * rows, "question": ["What?"] * rows, "answer": answers})
    return path


def repeated_in_a_list(folder: Path, scale: float) -> Path:
    """One row whose list repeats a text of 1 MB 10,000 times."""
    import pyarrow as pa

    path, count = folder / "train.parquet", int(10_000 * scale)
    values = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), [_text(1)])
    _parquet(path, {"image": ["a.png"], "question": ["What?"], "answer": pa.ListArray.from_arrays([0, count], values)})
    return path


def many_rows(folder: Path, scale: float) -> Path:
    """5 million equal rows."""
    import pyarrow as pa

    path, rows = folder / "train.parquet", int(5_000_000 * scale)
    texts = {"image": "a.png", "question": "What?", "answer": "A cat."}
    zeros = pa.repeat(pa.scalar(0, pa.int32()), rows)
    _parquet(path, {name: pa.DictionaryArray.from_arrays(zeros, [text]) for name, text in texts.items()})
    return path


def huge_cell(folder: Path, scale: float) -> Path:
    """One cell of 300 MB."""
    path = folder / "train.parquet"
    _parquet(path, {"image": ["a.png"], "question": ["What?"], "answer": [_text(300 * scale)]}, use_dictionary=False)
    return path


def huge_binary_cell(folder: Path, scale: float) -> Path:
    """64 rows that share an image cell of 60 MB."""
    import pyarrow as pa

    path = folder / "train.parquet"
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * 64, pa.int32()), [bytes(int(60 * scale * 2**20))])
    _parquet(path, {"image": cells, "question": ["What?"] * 64, "answer": ["A cat."] * 64})
    return path


def saved_compressed(folder: Path, scale: float) -> Path:
    """A saved data set of 3 GB whose batches are compressed."""
    import pyarrow as pa

    out = folder / "set"
    out.mkdir()
    (out / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    batch = pa.record_batch({"image": ["a.png"], "question": ["What?"], "answer": [_text(30)]})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(out / "data.arrow"), "wb") as file, pa.ipc.new_stream(file, batch.schema, options=options) as to:
        for _ in range(int(100 * scale)):
            to.write_batch(batch)
    return out


def json_of_empty_objects(folder: Path, scale: float) -> Path:
    """60 MB of JSON with 20 million empty objects: 1.4 GB as Python objects."""
    path = folder / "data.json"
    path.write_text("[" + "{}," * int(20_000_000 * scale) + "{}]")
    return path


def json_of_empty_objects_inside(folder: Path, scale: float) -> Path:
    path = folder / "data.json"
    path.write_text('{"data": [' + "{}," * int(20_000_000 * scale) + "{}]}")
    return path


def lines_of_empty_objects(folder: Path, scale: float) -> Path:
    path = folder / "data.jsonl"
    path.write_text("{}\n" * int(20_000_000 * scale))
    return path


def packed_json(folder: Path, scale: float) -> Path:
    """A packed file that unpacks to 4 GB."""
    path = folder / "data.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'[{"a": "')
        for _ in range(int(4096 * scale)):
            file.write(b"x" * 2**20)
        file.write(b'"}]')
    return path


def packed_lines(folder: Path, scale: float) -> Path:
    """A packed file of many short records."""
    path = folder / "data.jsonl.gz"
    line = b'{"image":"a.png","question":"What?","answer":"A cat."}\n'
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(int(4000 * scale)):
            file.write(line * 1000)
    return path


def rows_of_commas(folder: Path, scale: float) -> Path:
    """A table whose row has 200 million cells."""
    path = folder / "data.csv"
    path.write_text("image,question,answer\n" + "," * int(200_000_000 * scale) + "\n")
    return path


def short_rows(folder: Path, scale: float) -> Path:
    """A table with 30 million rows of one character."""
    path = folder / "data.csv"
    path.write_text("image,question,answer\n" + "a\n" * int(30_000_000 * scale))
    return path


def tar_of_objects(folder: Path, scale: float) -> Path:
    """A shard whose .json holds a million empty objects."""
    path = folder / "data.tar"
    text = ("[" + "{}," * int(5_000_000 * scale) + "{}]").encode()
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("a.json")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return path


def large_state(folder: Path, scale: float) -> Path:
    out = folder / "set"
    out.mkdir()
    (out / "state.json").write_text('{"_data_files": [' + "{}," * int(20_000_000 * scale) + "{}]}")
    return out


def large_info(folder: Path, scale: float) -> Path:
    (folder / "data.json").write_text(json.dumps([{"image": "a.png", "question": "What?", "answer": "A cat."}]))
    (folder / "dataset_info.json").write_text('{"a": [' + "{}," * int(20_000_000 * scale) + "{}]}")
    return folder


BOMBS: tuple[Callable[[Path, float], Path], ...] = (
    repeated_cell, repeated_in_a_list, many_rows, huge_cell, huge_binary_cell, saved_compressed, json_of_empty_objects,
    json_of_empty_objects_inside, lines_of_empty_objects, packed_json, packed_lines, rows_of_commas, short_rows,
    tar_of_objects, large_state, large_info,
)  # fmt: skip
