"""Reads Arrow tables: parquet files and data sets saved by `datasets`. Embedded images stay on disk until requested.

This module uses pyarrow only: the decoders of `datasets` would open any path or URL that an Image column names.
"""

from __future__ import annotations

import json
import shutil
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bye_core.data.faults import MalformedRecord
from bye_core.data.formats.base import EMBEDDED_IMAGE
from bye_core.data.path_spellings import ImageOutsideDataset, MissingImage
from bye_core.data.paths import RootFolder
from bye_core.data.renaming import NO_RENAMINGS, Renaming
from bye_core.data.sources import Unreadable, parse
from bye_core.data.text_files import NotReadable
from bye_core.files import file_sha256

BATCH = 64  # number of rows decoded at once; 64 MB if each has an image of 1 MB
ARROW_FILE = "data-00000-of-00001.arrow"


class ParquetSource:
    """One parquet file. To get a row, its row group is read from the start, so reading rows in order is fastest."""

    notes: tuple[str, ...] = ()
    renames = False

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
            str(self._file.schema_arrow)  # fails if a column has a damaged name
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise NotReadable(path=path, why=error) from error
        self._starts = [0]  # [row groups + 1]: the first row of each row group, then the total number of rows
        for group in range(self._file.num_row_groups):
            self._starts.append(self._starts[-1] + self._file.metadata.row_group(group).num_rows)
        self._lock = threading.Lock()
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._group, self._start = -1, 0

    def rows(self) -> Iterator[Any]:
        for batch in self._guarded(self._file.iter_batches(batch_size=BATCH)):
            yield from rows_without_images(batch)

    def record(self, index: int) -> Any:
        with self._lock:
            return full_row(*self._locate(index))

    def _locate(self, index: int) -> tuple[Any, int]:
        """Return (the decoded batch that holds row `index`, the index of the row in that batch)."""
        group = bisect_right(self._starts, index) - 1
        if group != self._group or index < self._start:
            self._batches = self._guarded(self._file.iter_batches(batch_size=BATCH, row_groups=[group]))
            self._group, self._batch, self._start = group, next(self._batches), self._starts[group]
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

    def write(
        self, indices: Sequence[int], folder: Path, renamings: Mapping[int, Renaming] = NO_RENAMINGS
    ) -> list[Path]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        target, schema = folder / self.path.name, self._file.schema_arrow
        compression = self._file.metadata.row_group(0).column(0).compression.replace("UNCOMPRESSED", "NONE")
        with pq.ParquetWriter(target, schema, compression=compression) as writer:
            for group, start in enumerate(self._starts[:-1]):
                first, last = (bisect_left(indices, row) for row in (start, self._starts[group + 1]))
                kept = [index - start for index in indices[first:last]]
                parts, passed = [], 0
                for batch in self._guarded(self._file.iter_batches(batch_size=BATCH, row_groups=[group])):
                    end = passed + batch.num_rows
                    rows = [row - passed for row in kept[bisect_left(kept, passed) : bisect_left(kept, end)]]
                    parts.append(batch.take(pa.array(rows, pa.int64())))
                    passed = end
                if kept:
                    table = pa.Table.from_batches(parts)
                    # The cast of pyarrow fails on some nested columns, so it is left out where it has nothing to do.
                    writer.write_table(table if table.schema.equals(schema) else table.cast(schema))
        return [target]


class ArrowSource:
    """A data set saved by `datasets`, memory-mapped. The hub's download cache stores data sets in the same form."""

    notes: tuple[str, ...] = ()
    renames = False

    def __init__(self, path: Path, table: Any, files: Sequence[Path], info: Path | None) -> None:
        import pyarrow as pa

        self.path, self._table, self._files, self._info = path, table, files, info
        try:
            str(table.schema)  # fails if a column has a damaged name
            table.validate(full=True)  # without this check bad offsets would crash the process
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise NotReadable(path=path, why=error) from error

    @classmethod
    def saved(cls, folder: Path) -> ArrowSource:
        """Open a folder written by `save_to_disk`. Raises:

        NotReadable if it is damaged or names files outside the folder.
        """
        import pyarrow as pa

        state = parse((folder / "state.json").read_text(encoding="utf-8", errors="surrogateescape"))
        names = _data_file_names(state)
        if not names:
            raise NotReadable(path=folder, why="its state.json names no data files")
        try:
            files = [RootFolder(folder).resolve(name) for name in names]
            tables = [pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files]
            table = pa.concat_tables(tables)
        except ImageOutsideDataset as error:
            raise NotReadable(path=folder, why="its state.json names files outside the folder") from error
        except MissingImage as error:
            raise NotReadable(path=folder, why="its state.json names files that are not there") from error
        except (pa.ArrowException, OSError) as error:
            raise NotReadable(path=folder, why=error) from error
        info = folder / "dataset_info.json"
        return cls(folder, table, files, info if info.is_file() else None)

    def rows(self) -> Iterator[Any]:
        for batch in self._table.to_batches(max_chunksize=1000):
            yield from rows_without_images(batch)

    def record(self, index: int) -> Any:
        return full_row(self._table.slice(index, 1), 0)

    def digest(self) -> str:
        return file_sha256(*self._files)

    def write(
        self, indices: Sequence[int], folder: Path, renamings: Mapping[int, Renaming] = NO_RENAMINGS
    ) -> list[Path]:
        import pyarrow as pa

        target = folder / ARROW_FILE
        with pa.OSFile(str(target), "wb") as file, pa.ipc.new_stream(file, self._table.schema) as writer:
            for start in range(0, len(indices), BATCH):
                # Slices: `take` would first join all chunks of the table in memory.
                rows = [self._table.slice(index, 1) for index in indices[start : start + BATCH]]
                writer.write_table(pa.concat_tables(rows).combine_chunks())
        state: dict[str, Any] = {"_data_files": [{"filename": ARROW_FILE}], "_fingerprint": file_sha256(target)[:16]}
        state |= {"_format_columns": None, "_format_kwargs": {}, "_format_type": None, "_output_all_columns": False}
        (folder / "state.json").write_text(json.dumps(state | {"_split": None}, indent=2), encoding="utf-8")
        written = [target, folder / "state.json", folder / "dataset_info.json"]
        if self._info is None:
            written[2].write_text("{}", encoding="utf-8")
        else:
            shutil.copyfile(self._info, written[2])
        return written


def rows_without_images(batch: Any) -> Iterator[Any]:
    """Yield the rows of a RecordBatch as dicts, with EMBEDDED_IMAGE for binary cells, so that no image is copied.

    A row whose text is not UTF-8 becomes Unreadable.
    """
    names = batch.schema.names
    binary = [k for k, field in enumerate(batch.schema) if _holds_bytes(field.type)]
    others = [k for k in range(len(names)) if k not in binary]
    try:
        rows = batch.select([names[k] for k in others]).to_pylist() if others else [{}] * batch.num_rows
    except UnicodeDecodeError:  # to find the row at fault, read them one by one
        rows = [_read_row(batch, others, row) for row in range(batch.num_rows)]
    for index, row in enumerate(rows):
        if isinstance(row, Unreadable):
            yield row
            continue
        try:
            yield {**row, **{names[k]: _without_images(batch.column(k)[index]) for k in binary}}
        except UnicodeDecodeError as error:
            yield Unreadable(f"its text is not UTF-8 ({error.reason})")


def full_row(rows: Any, index: int) -> dict[str, Any]:
    """Return one row including its images. Raises: MalformedRecord if its text is not UTF-8."""
    try:
        return rows.slice(index, 1).to_pylist()[0]
    except UnicodeDecodeError as error:
        raise MalformedRecord(what=f"its text is not UTF-8 ({error.reason})") from error


def _read_row(batch: Any, columns: list[int], row: int) -> dict[str, Any] | Unreadable:
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


def _without_images(scalar: Any) -> Any:
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.StructScalar):
        return {name: _without_images(scalar[k]) for k, name in enumerate(field.name for field in scalar.type)}
    if isinstance(scalar, pa.ListScalar):
        return [_without_images(entry) for entry in scalar.values]
    return EMBEDDED_IMAGE if _is_bytes(scalar.type) else scalar.as_py()


def _data_file_names(state: Any) -> list[str]:
    """Return the file names in a state.json; an empty list if one of them is not text."""
    entries = state.get("_data_files") if isinstance(state, dict) else None
    entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    names = [entry.get("filename") for entry in entries]
    return [name for name in names if isinstance(name, str)] if all(isinstance(name, str) for name in names) else []
