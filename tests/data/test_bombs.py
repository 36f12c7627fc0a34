"""Small files that decode to far more than they hold are refused, or read within bounds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bye_core.data import bounds, load_dataset
from bye_core.data.bounds import MEMORY_SETTING, RECORD_BYTES, Budget, LargeFile, TooLargeDecoded, check_json
from bye_core.data.formats import UnknownFormat
from bye_core.data.table_reader import decoded_rows
from bye_core.data.text_files import WrongContent
from tests.data import bombs

# What is said about each; the other bombs are refused with TooLargeDecoded.
OTHERWISE = {
    bombs.packed_json: WrongContent, bombs.packed_lines: WrongContent, bombs.rows_of_commas: UnknownFormat,
    bombs.short_rows: UnknownFormat, bombs.large_state: LargeFile, bombs.large_info: LargeFile,
}  # fmt: skip
READ = {bombs.huge_binary_cell: 64, bombs.tar_of_objects: 1}
MEGABYTES, SCALE, SMALL = 32, 0.125, 0.03


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_SETTING, str(MEGABYTES))
    monkeypatch.setattr(bounds, "LARGEST_TEXT", 2**20)


@pytest.mark.parametrize("make", bombs.BOMBS, ids=lambda make: make.__name__)
def test_bombs_are_refused_or_read_within_bounds(make: Callable[[Path, float], Path], tmp_path: Path) -> None:
    path = make(tmp_path, SMALL if make in READ else SCALE)
    if make in READ:
        assert load_dataset(path).size == READ[make]
        return
    with pytest.raises(OTHERWISE.get(make, TooLargeDecoded)):
        load_dataset(path)


def test_a_reader_that_grew_too_large_is_followed_by_one_that_reads_fewer_rows(tmp_path: Path) -> None:
    path = bombs.huge_binary_cell(tmp_path, SMALL)
    sizes = [(batch, len(rows)) for batch, rows in decoded_rows(path, path.stat().st_size)]
    assert sum(count for _, count in sizes) == 64
    assert sizes[0][0] < 64, "64 cells of 1.8 MB need more than 32 MB"


def test_the_budget_counts_records_and_their_texts() -> None:
    budget, texts = Budget("data.json", 0), ["x" * 2**20, "é"]
    each = RECORD_BYTES + sum(map(sys.getsizeof, texts))
    for _ in range(MEGABYTES * 2**20 // each):
        budget.spend(texts)
    with pytest.raises(TooLargeDecoded, match=r"more than 32 MB of memory, and its files have only 0 kB"):
        budget.spend(texts)


@pytest.mark.parametrize(("memory", "size", "most"), [("", 2**20, 384 * 2**20), ("100", 2**40, 100 * 2**20)])
def test_what_a_set_may_need(memory: str, size: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_SETTING, memory)
    monkeypatch.setattr(bounds, "_machine_memory", lambda: 2**40)
    assert bounds.allowed_memory(size) == most


def test_usual_records_are_far_from_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MEMORY_SETTING)
    record = b'{"id": "1", "image": "a.png", "conversations": [{"from": "human", "value": "<image>What is it?"}]}'
    monkeypatch.setattr(bounds, "FREE_BYTES", 0)
    monkeypatch.setattr(bounds, "MOST_EXPANSION", bounds.MOST_EXPANSION // 4)
    check_json(Path("data.json"), record * 1000)
