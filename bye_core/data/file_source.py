"""Opens an annotation file with the source that fits its suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bye_core.data.csv_source import CsvSource
from bye_core.data.formats import FORMATS, complete_layouts
from bye_core.data.formats.base import Layout
from bye_core.data.json_source import JsonSource
from bye_core.data.listing import SUFFIXES, TEXT_SUFFIXES
from bye_core.data.reading import ReadingOptions
from bye_core.data.shards import suffix_of
from bye_core.data.sources import Source
from bye_core.data.tables import ParquetSource
from bye_core.data.text_files import GZIP, NotReadable, WrongContent, reject_other_kinds
from bye_core.data.webdataset import SUFFIX as TAR
from bye_core.data.webdataset import TarSource

NO_LAYOUT = Layout()
SPREADSHEETS = (".xlsx", ".xls", ".ods")


def open_file(file: Path, reading: ReadingOptions, format: str | None = None, layout: Layout = NO_LAYOUT) -> Source:
    """Return the source of the records in `file`.

    format, layout  what a dataset_info.json says about the file
    Raises: NotReadable if no source reads such files.
    """
    suffix = suffix_of(file)
    if suffix == ".parquet":
        return ParquetSource(file)
    if suffix in (".csv", ".tsv"):
        return CsvSource(file)
    if suffix in TEXT_SUFFIXES:
        is_record, is_complete = record_tests(reading, format, layout)
        return JsonSource(file, is_record, reading.split, is_complete)
    if suffix == TAR or file.name.lower().endswith(f"{TAR}.gz"):
        return TarSource(file)
    with file.open("rb") as opened:
        head = opened.read(64)
    if suffix in SPREADSHEETS:
        raise WrongContent(path=file, why="it is a spreadsheet", do="Save the sheet as CSV.")
    reject_other_kinds(file, head)
    unpacked = not head.startswith(GZIP)
    why = f"its name ends in none of {', '.join((*SUFFIXES, TAR))}" if unpacked else "it is compressed with gzip"
    raise NotReadable(path=file, why=why)


def record_tests(
    reading: ReadingOptions, format: str | None, layout: Layout
) -> tuple[Callable[[Any], bool], Callable[[Any], bool]]:
    """Return two functions that say whether an object is a record by its keys.

    For the first, one key of a format that is named suffices. For the second, the object needs the keys of any format.
    """
    name = reading.format or format
    columns = {**(layout.columns if name in (None, format) else {}), **reading.columns}
    keys = set()
    if name in FORMATS:
        usual = {**FORMATS[name].columns, **columns}
        keys = {key for column, key in usual.items() if column not in ("id", "question_id", "system")}
        columns = {column: key for column, key in columns.items() if key != FORMATS[name].columns.get(column)}
    layouts = complete_layouts(Layout(columns, layout.tags, reading.question))

    def is_complete(value: Any) -> bool:
        return isinstance(value, Mapping) and any(form.matches(value, layouts[form]) for form in layouts)

    def is_record(value: Any) -> bool:
        return is_complete(value) or (isinstance(value, Mapping) and not keys.isdisjoint(value))

    return is_record, is_complete
