"""Annotation tables of Arrow: parquet files and saved data sets. Their pictures stay on disk until one is asked for.

pyarrow alone reads them: the decoders of `datasets` would open any path or address that an Image column names.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bye_core.data.faults import MalformedRecord
from bye_core.data.formats.base import EMBEDDED_IMAGE
from bye_core.data.images import Folder, ImageOutsideDataset
from bye_core.data.sources import NotReadable, Unreadable, parse
from bye_core.files import file_sha256

BATCH = 64  # rows decoded at once; with pictures of 1 MB that is 64 MB
ARROW_FILE = "data-00000-of-00001.arrow"


class ParquetSource:
    """One parquet file. Rows are found by reading their row group forwards, so reading in order is cheap."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise NotReadable(path=path, why=error) from error
        groups = range(self._file.num_row_groups)
        self._ends = [0]  # [groups + 1] row at which each row group begins, then the number of rows
        for group in groups:
            self._ends.append(self._ends[-1] + self._file.metadata.row_group(group).num_rows)
        self._lock = threading.Lock()
        self._batches: Iterator[Any] = iter(())
        self._group, self._batch, self._start = -1, None, 0

    def rows(self) -> Iterator[Any]:
        for batch in self._guarded(self._file.iter_batches(batch_size=BATCH)):
            yield from thin_rows(batch)

    def record(self, index: int) -> Any:
        with self._lock:
            return whole_row(*self._locate(index))

    def _locate(self, index: int) -> tuple[Any, int]:
        """The decoded batch that holds row `index`, and its place there."""
        group = next(g for g, end in enumerate(self._ends[1:]) if index < end)
        if group != self._group or index < self._start:
            self._batches = self._guarded(self._file.iter_batches(batch_size=BATCH, row_groups=[group]))
            self._group, self._batch, self._start = group, next(self._batches), self._ends[group]
        while index >= self._start + self._batch.num_rows:
            self._start += self._batch.num_rows
            self._batch = next(self._batches)
        return self._batch, index - self._start

    def _guarded(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        try:
            yield from batches
        except (pa.ArrowException, OSError) as error:
            raise NotReadable(path=self.path, why=error) from error

    def digest(self) -> str:
        return file_sha256(self.path)

    def write(self, indices: Sequence[int], folder: Path) -> list[Path]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        target, schema = folder / self.path.name, self._file.schema_arrow
        compression = self._file.metadata.row_group(0).column(0).compression.replace("UNCOMPRESSED", "NONE")
        with pq.ParquetWriter(target, schema, compression=compression) as writer:
            for group, start in enumerate(self._ends[:-1]):
                kept = [index - start for index in indices if start <= index < self._ends[group + 1]]
                parts, passed = [], 0
                for batch in self._guarded(self._file.iter_batches(batch_size=BATCH, row_groups=[group])):
                    end = passed + batch.num_rows
                    parts.append(batch.take([row - passed for row in kept if passed <= row < end] or _none()))
                    passed = end
                if kept:
                    writer.write_table(pa.Table.from_batches(parts).cast(schema))
        return [target]


class ArrowSource:
    """A data set saved by `datasets`, memory-mapped, or one of the hub, which lies in the same form in its cache."""

    def __init__(self, path: Path, table: Any, files: Sequence[Path], info: Path | None) -> None:
        import pyarrow as pa

        self.path, self._table, self._files, self._info = path, table, files, info
        try:
            table.validate(full=True)  # offsets are taken on trust otherwise, and a crash cannot be caught
        except pa.ArrowException as error:
            raise NotReadable(path=path, why=error) from error

    @classmethod
    def saved(cls, folder: Path) -> ArrowSource:
        import pyarrow as pa

        state = parse((folder / "state.json").read_text(encoding="utf-8", errors="surrogateescape"))
        names = [entry.get("filename") for entry in _entries(state, "_data_files")]
        if not names or not all(isinstance(name, str) for name in names):
            raise NotReadable(path=folder, why="its state.json names no data files")
        try:
            files = [Folder(folder).find(name) for name in names]
            tables = [pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files]
            table = pa.concat_tables(tables)
        except ImageOutsideDataset as error:
            raise NotReadable(path=folder, why="its state.json names files elsewhere") from error
        except (pa.ArrowException, OSError) as error:
            raise NotReadable(path=folder, why=error) from error
        info = folder / "dataset_info.json"
        return cls(folder, table, files, info if info.is_file() else None)

    def rows(self) -> Iterator[Any]:
        for batch in self._table.to_batches(max_chunksize=1000):
            yield from thin_rows(batch)

    def record(self, index: int) -> Any:
        return whole_row(self._table.slice(index, 1), 0)

    def digest(self) -> str:
        return file_sha256(*self._files)

    def write(self, indices: Sequence[int], folder: Path) -> list[Path]:
        import pyarrow as pa

        target = folder / ARROW_FILE
        with pa.OSFile(str(target), "wb") as file, pa.ipc.new_stream(file, self._table.schema) as writer:
            for start in range(0, len(indices), BATCH):
                # Slices, because `take` would first join all chunks of the table in memory.
                rows = [self._table.slice(index, 1) for index in indices[start : start + BATCH]]
                writer.write_table(pa.concat_tables(rows).combine_chunks())
        state = {"_data_files": [{"filename": ARROW_FILE}], "_fingerprint": file_sha256(target)[:16]}
        rest = {"_format_columns": None, "_format_kwargs": {}, "_format_type": None, "_output_all_columns": False}
        (folder / "state.json").write_text(json.dumps(state | rest | {"_split": None}, indent=2), encoding="utf-8")
        written = [target, folder / "state.json", folder / "dataset_info.json"]
        if self._info is None:
            written[2].write_text("{}", encoding="utf-8")
        else:
            shutil.copyfile(self._info, written[2])
        return written


def thin_rows(batch: Any) -> Iterator[Any]:
    """A RecordBatch as dicts, binary cells as EMBEDDED_IMAGE, so that no picture is copied."""
    names = batch.schema.names
    heavy = [k for k, field in enumerate(batch.schema) if _holds_bytes(field.type)]
    light = [k for k in range(len(names)) if k not in heavy]
    try:
        rows = batch.select([names[k] for k in light]).to_pylist() if light else [{}] * batch.num_rows
    except UnicodeDecodeError:  # one row's text spoils the batch: find out which
        rows = [_light_row(batch, light, row) for row in range(batch.num_rows)]
    for index, row in enumerate(rows):
        if isinstance(row, Unreadable):
            yield row
            continue
        try:
            yield {**row, **{names[k]: _thin(batch.column(k)[index]) for k in heavy}}
        except UnicodeDecodeError as error:
            yield Unreadable(f"its text is not UTF-8 ({error.reason})")


def whole_row(rows: Any, index: int) -> dict[str, Any]:
    try:
        return rows.slice(index, 1).to_pylist()[0]
    except UnicodeDecodeError as error:
        raise MalformedRecord(what=f"its text is not UTF-8 ({error.reason})") from error


def _light_row(batch: Any, columns: list[int], row: int) -> dict[str, Any] | Unreadable:
    try:
        return {batch.schema.names[k]: batch.column(k)[row].as_py() for k in columns}
    except UnicodeDecodeError as error:
        return Unreadable(f"its text is not UTF-8 ({error.reason})")


def _holds_bytes(type: Any) -> bool:
    import pyarrow as pa

    if isinstance(type, pa.BaseExtensionType):
        return _holds_bytes(type.storage_type)
    if pa.types.is_nested(type):
        return any(_holds_bytes(type.field(k).type) for k in range(type.num_fields))
    return _is_bytes(type)


def _is_bytes(type: Any) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(test(type) for test in tests)


def _thin(scalar: Any) -> Any:
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.StructScalar):
        return {name: _thin(scalar[k]) for k, name in enumerate(field.name for field in scalar.type)}
    if isinstance(scalar, pa.ListScalar):
        return [_thin(entry) for entry in scalar.values]
    return EMBEDDED_IMAGE if _is_bytes(scalar.type) else scalar.as_py()


def _entries(state: Any, key: str) -> list[dict[str, Any]]:
    entries = state.get(key) if isinstance(state, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _none() -> Any:
    import pyarrow as pa

    return pa.array([], pa.int64())
