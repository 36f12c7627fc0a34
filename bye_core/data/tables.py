"""Reads Arrow tables: parquet files and data sets saved by `datasets`. Embedded images stay on disk until requested.

A reader process decodes all rows first (see table_reader). What it could decode with limited memory, this process can.
This module uses pyarrow only: the decoders of `datasets` would open any path or URL that an Image column names.
"""

from __future__ import annotations

import json
import shutil
import threading
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bye_core.data.bounds import Budget, read_small_file
from bye_core.data.faults import MalformedRecord
from bye_core.data.formats.base import EMBEDDED_IMAGE, OTHER_VALUE
from bye_core.data.path_spellings import ImageOutsideDataset, MissingImage
from bye_core.data.paths import RootFolder
from bye_core.data.renaming import NO_RENAMINGS, Renaming
from bye_core.data.sources import Unreadable, parse
from bye_core.data.table_reader import BATCH, decoded_rows
from bye_core.data.text_files import NotReadable
from bye_core.files import file_sha256

ARROW_FILE = "data-00000-of-00001.arrow"


class ParquetSource:
    """One parquet file. To get a row, its row group is read from the start, so reading rows in order is fastest."""

    notes: tuple[str, ...] = ()
    renames = False

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, path.stat().st_size
        self._file = _open_parquet(path)
        self._starts = [0]  # [row groups + 1]: the first row of each row group, then the total number of rows
        for group in range(self._file.num_row_groups):
            self._starts.append(self._starts[-1] + self._file.metadata.row_group(group).num_rows)
        Budget(path, self.size).check_count(self._starts[-1])
        self._lock = threading.Lock()
        self._batches: Iterator[Any] = iter(())
        # Two batches (first row, rows), because the samples of one scanned batch may be in both and are read twice.
        self._held: deque[tuple[int, Any]] = deque(maxlen=2)
        self._group, self._next = -1, 0
        self._rows_at_once = BATCH

    def rows(self) -> Iterator[Any]:
        for rows_at_once, rows in decoded_rows(self.path, self.size):
            self._rows_at_once = rows_at_once
            yield from rows

    def index_state(self) -> tuple[dict[str, Any], np.ndarray]:
        return {"rows_at_once": self._rows_at_once}, np.empty(0, np.int64)

    def restore_index(self, state: dict[str, Any], spans: np.ndarray) -> None:
        self._rows_at_once = int(state["rows_at_once"])

    def record(self, index: int) -> Any:
        with self._lock:
            return full_row(*self._locate(index))

    def _locate(self, index: int) -> tuple[Any, int]:
        """Return (the decoded batch that holds row `index`, the index of the row in that batch)."""
        group = bisect_right(self._starts, index) - 1
        for start, batch in self._held:
            if start <= index < start + batch.num_rows:
                return batch, index - start
        if group != self._group or index < self._next:
            self._batches = self._iterate(group)
            self._group, self._next = group, self._starts[group]
        while True:
            batch = next(self._batches, None)
            if batch is None:
                raise NotReadable(path=self.path, why="it holds fewer rows than it announces")
            start, self._next = self._next, self._next + batch.num_rows
            self._held.append((start, batch))
            if index < self._next:
                return batch, index - start

    def _iterate(self, group: int) -> Iterator[Any]:
        import pyarrow as pa

        try:
            yield from self._file.iter_batches(batch_size=self._rows_at_once, row_groups=[group])
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
                for batch in self._iterate(group):
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
    """A data set saved by `datasets`, memory-mapped. The hub's download cache stores data sets in the same form.

    table  the opened table; None to open it after a reader process has decoded all rows
    """

    notes: tuple[str, ...] = ()
    renames = False

    def __init__(self, path: Path, table: Any, files: Sequence[Path], info: Path | None) -> None:
        self.path, self._files, self._info = path, files, info
        self.size = max(sum(file.stat().st_size for file in files), 0 if table is None else table.nbytes)
        self._opened = None if table is None else _checked_table(path, table)

    @classmethod
    def saved(cls, folder: Path) -> ArrowSource:
        """Return the source of a folder written by `save_to_disk`.

        Raises: NotReadable if its state.json is damaged or names files outside the folder.
        """
        info = folder / "dataset_info.json"
        return cls(folder, None, _data_files(folder), info if info.is_file() else None)

    @property
    def _table(self) -> Any:
        if self._opened is None:
            self._opened = _open_saved(self.path)
        return self._opened

    def rows(self) -> Iterator[Any]:
        if self._opened is not None:
            for batch in self._opened.to_batches(max_chunksize=BATCH):
                yield from rows_without_images(batch)
            return
        for _, rows in decoded_rows(self.path, self.size):
            yield from rows

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


def batches_of_rows(path: Path, batch: int, skip: int = 0) -> Iterator[list[Any]]:
    """Yield the rows of a parquet file, or of a saved data set, in lists of at most `batch`, without the first `skip`.

    Decodes in this process, without a limit on its memory. Raises: NotReadable if the table is damaged.
    """
    import pyarrow as pa

    try:
        if path.is_dir():
            batches = iter(_open_saved(path).to_batches(max_chunksize=batch))
        else:
            batches = _open_parquet(path).iter_batches(batch_size=batch, use_threads=False)
        for rows in batches:
            passed = min(skip, rows.num_rows)
            skip -= passed
            if rows.num_rows > passed:
                yield list(rows_without_images(rows.slice(passed)))
    except (pa.ArrowException, OSError) as error:
        raise NotReadable(path=path, why=error) from error


def rows_without_images(batch: Any) -> Iterator[Any]:
    """Yield the rows of a RecordBatch as dicts, with EMBEDDED_IMAGE for binary cells, so that no image is copied.

    Cells that no format reads, such as dates, become OTHER_VALUE. A row that cannot be converted becomes Unreadable.
    """
    names = batch.schema.names
    others = [k for k, field in enumerate(batch.schema) if not _is_plain(field.type)]
    plain = [k for k in range(len(names)) if k not in others]
    try:
        rows = batch.select(plain).to_pylist() if plain else [{} for _ in range(batch.num_rows)]
    except (UnicodeDecodeError, ValueError):  # to find the row at fault, read them one by one
        rows = [_read_row(batch, plain, row) for row in range(batch.num_rows)]
    for index, row in enumerate(rows):
        if isinstance(row, Unreadable):
            yield row
            continue
        try:
            yield {**row, **{names[k]: _without_images(batch.column(k)[index]) for k in others}}
        except (UnicodeDecodeError, ValueError) as error:
            yield Unreadable(_reason(error))


def full_row(rows: Any, index: int) -> dict[str, Any]:
    """Return one row including its images. Raises: MalformedRecord if it cannot be converted."""
    names = rows.schema.names
    try:
        return {name: _without_images(rows.column(k)[index], images=True) for k, name in enumerate(names)}
    except (UnicodeDecodeError, ValueError) as error:
        raise MalformedRecord(what=_reason(error)) from error


def _read_row(batch: Any, columns: list[int], row: int) -> dict[str, Any] | Unreadable:
    try:
        return {batch.schema.names[k]: batch.column(k)[row].as_py() for k in columns}
    except (UnicodeDecodeError, ValueError) as error:
        return Unreadable(_reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"its text is not UTF-8 ({error.reason})"
    return f"a value of its row cannot be read ({error})"


def _is_plain(type: Any) -> bool:
    """Return whether pyarrow converts all values of this type to text, numbers, lists and dicts."""
    import pyarrow as pa

    kinds = pa.types
    if kinds.is_list(type) or kinds.is_large_list(type) or kinds.is_fixed_size_list(type):
        return _is_plain(type.value_type)
    if kinds.is_struct(type):
        return all(_is_plain(type.field(k).type) for k in range(type.num_fields))
    tests = (
        kinds.is_string, kinds.is_large_string, kinds.is_string_view, kinds.is_integer, kinds.is_floating,
        kinds.is_boolean, kinds.is_null,
    )  # fmt: skip
    return any(test(type) for test in tests)


def _is_bytes(type: Any) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(test(type) for test in tests)


def _without_images(scalar: Any, images: bool = False) -> Any:
    """Return the value of a cell; with `images`, including the bytes in it."""
    import pyarrow as pa

    if _is_plain(scalar.type):
        return scalar.as_py()
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.ExtensionScalar | pa.DictionaryScalar):
        return _without_images(scalar.value, images)
    if isinstance(scalar, pa.StructScalar):
        fields = [field.name for field in scalar.type]
        if len(set(fields)) < len(fields):
            raise ValueError("it names a field twice")
        return {name: _without_images(scalar[k], images) for k, name in enumerate(fields)}
    if isinstance(scalar, pa.ListScalar) and not isinstance(scalar, pa.MapScalar):
        return [_without_images(entry, images) for entry in scalar.values]
    if _is_bytes(scalar.type):
        return scalar.as_py() if images else EMBEDDED_IMAGE
    return OTHER_VALUE


def _open_parquet(path: Path) -> Any:
    """Open a parquet file. Raises: NotReadable if it is damaged, or if two of its columns have the same name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, memory_map=True)
        _check_names(path, file.schema_arrow)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise NotReadable(path=path, why=error) from error
    return file


def _open_saved(folder: Path) -> Any:
    """Return the table of a saved data set, memory-mapped. Raises: NotReadable if it is damaged."""
    import pyarrow as pa

    try:
        tables = [pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in _data_files(folder)]
        return _checked_table(folder, pa.concat_tables(tables))
    except (pa.ArrowException, OSError) as error:
        raise NotReadable(path=folder, why=error) from error


def _checked_table(path: Path, table: Any) -> Any:
    import pyarrow as pa

    try:
        _check_names(path, table.schema)
        table.validate(full=True)  # without this check bad offsets would crash the process
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise NotReadable(path=path, why=error) from error
    return table


def _check_names(path: Path, schema: Any) -> None:
    str(schema)  # fails if a column has a damaged name
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise NotReadable(path=path, why=f"it has several columns called {twice[0]}")


def _data_files(folder: Path) -> list[Path]:
    """Return the data files of a saved data set. Raises: NotReadable if one is missing or outside the folder."""
    state = parse(read_small_file(folder / "state.json").decode("utf-8", "surrogateescape"))
    names = _data_file_names(state)
    if not names:
        raise NotReadable(path=folder, why="its state.json names no data files")
    try:
        return [RootFolder(folder).resolve(name) for name in names]
    except ImageOutsideDataset as error:
        raise NotReadable(path=folder, why="its state.json names files outside the folder") from error
    except MissingImage as error:
        raise NotReadable(path=folder, why="its state.json names files that are not there") from error


def _data_file_names(state: Any) -> list[str]:
    """Return the file names in a state.json; an empty list if one of them is not text."""
    entries = state.get("_data_files") if isinstance(state, dict) else None
    entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    names = [entry.get("filename") for entry in entries]
    return [name for name in names if isinstance(name, str)] if all(isinstance(name, str) for name in names) else []
