"""Hostile records and files cost time in proportion to their size. Every limit is far above the time that is needed."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bye_core.data import export, load_dataset
from bye_core.data.formats import FORMATS, Reader, complete_layout
from bye_core.data.formats.base import Layout
from bye_core.data.json_source import JsonSource
from bye_core.data.paths import MissingImage, RootFolder
from bye_core.data.sources import Unreadable
from tests.data.sets import png

SECONDS = 5  # of CPU time; with quadratic time, each of these inputs takes far more


@contextmanager
def limited() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


def read(record: dict):
    form = FORMATS["llava"]
    return Reader(form, complete_layout(form, Layout())).read(record)


def asked(text: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": text}, {"from": "gpt", "value": "A cat."}]


@pytest.mark.parametrize(
    "path", ["a/" * 100_000 + "b.png", "a/" * 60_000 + "../" * 60_000 + "b.png", "a/" * 3000 + "../" * 2000 + "b.png"]
)
def test_a_path_of_thousands_of_folders_is_a_missing_image(tmp_path: Path, path: str) -> None:
    with limited(), pytest.raises(MissingImage):
        RootFolder(tmp_path).resolve(path)


def test_blanks_around_a_path_inside_a_text() -> None:
    blanks = " " * 30_000
    with limited():
        assert read({"conversations": asked(f"<img>{blanks}What is it?")}).images == ()
        assert read({"conversations": asked(f"<img>{blanks}a b.png\n</img>What is it?")}).images == ("a b.png",)


def test_blanks_in_base64_text() -> None:
    path = "/9j/" + " " * 300_000 + "!"
    with limited():
        assert read({"image": path, "conversations": asked("<image>")}).images == (path,)


def test_a_record_of_many_messages_and_images() -> None:
    messages = asked("<image>") * 30_000
    text = "".join(f"<img>{k}.png</img>" for k in range(30_000))
    with limited():
        assert len(read({"image": "a.png", "conversations": messages}).turns) == 60_000
        assert len(read({"conversations": asked(text * 2)}).images) == 30_000


def test_damaged_lines_of_a_long_file(tmp_path: Path) -> None:
    good = json.dumps({"id": 1, "text": "x" * 1000})
    lines = [good, *['{"id": 2, "text":'] * 2_000] * 2 + [good] * 30_000
    (tmp_path / "data.jsonl").write_text("\n".join(lines) + "\n")
    with limited():
        rows = list(JsonSource(tmp_path / "data.jsonl").rows())
    assert len(rows) == len(lines)
    assert sum(isinstance(row, Unreadable) for row in rows) == 4_000


def test_an_object_over_many_lines_between_others(tmp_path: Path) -> None:
    long = json.dumps({"id": 2, "texts": ["\u00e9 x" * 10] * 20_000}, indent=0)
    (tmp_path / "data.jsonl").write_text('{"id": 1}\n' + long + '\n{"id": 3}\n')
    with limited():
        rows = list(JsonSource(tmp_path / "data.jsonl").rows())
    assert [row["id"] for row in rows] == [1, 2, 3]


def test_a_tar_file_whose_files_all_have_one_stem(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        for name in ("a.png", "a.txt", *(f"a.{k}" for k in range(20_000))):
            content = png() if name.endswith("png") else b"A cat."
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with limited():
        assert load_dataset(tmp_path / "data.tar").size == 1


def test_an_export_of_many_records_without_an_image(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.png").write_bytes(png())
    records = [{"id": f"r{k}", "conversations": asked("What is it?")} for k in range(10_000)]
    records.append({"id": "with", "image": "a.png", "conversations": asked("<image>What is it?")})
    (tmp_path / "set/data.json").write_text(json.dumps(records))
    dataset = load_dataset(tmp_path / "set/data.json")
    with limited():
        export(dataset, ["with"], [], tmp_path / "out", unscanned=[sample.id for sample in dataset.text_only])


def test_a_long_cell_and_a_missing_quote_in_a_table(tmp_path: Path) -> None:
    """An image as base64 text fits into a cell. A quote that is never closed takes the rest of the file: it is said."""
    (tmp_path / "a.png").write_bytes(png())
    long = f"a.png,{'What ' * 40_000},yes\n"
    rest = "a.png,What is it?,yes\n" * 500
    (tmp_path / "data.csv").write_text(f'image,question,answer\n{long}a.png,"What is it?,yes\n{rest}')
    with limited():
        dataset = load_dataset(tmp_path / "data.csv")
    assert [len(sample.question) > 190_000 for sample in dataset.samples] == [True]
    assert [fault.kind for fault in dataset.faults] == ["MalformedRecord"]
    assert "one cell goes on for 502 lines: a quote at its end may be missing" in dataset.faults[0].problem
