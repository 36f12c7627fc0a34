"""Hostile data files: each is read, or refused with an error of this software, in little time."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest

from bye_core.data import DataSet, bounds, load_dataset
from bye_core.data.location import LinkedOutside
from bye_core.errors import ByeError, SettingError
from tests.data import hostile
from tests.data.sets import png

SECONDS = 10  # of CPU time, far above what is needed; quadratic time takes more
FILES = (
    [(f"data{suffix}", name, text) for suffix in hostile.SUFFIXES for name, text in hostile.TEXTS.items()]
    + [("data.tar", name, text) for name, text in hostile.TARS.items()]
    + [("data.parquet", name, make) for name, make in hostile.TABLES.items()]
    + [("dataset_info.json", name, value) for name, value in hostile.DESCRIPTIONS.items()]
    + [(file, name, value) for file in ("state.json", "dataset_dict.json") for name, value in hostile.STATES.items()]
)


def outcome(path: Path) -> DataSet | ByeError:
    start = time.process_time()
    try:
        found: DataSet | ByeError = load_dataset(path)
    except ByeError as error:
        found = error
    assert time.process_time() - start < SECONDS
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(autouse=True)
def usual_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bounds.MEMORY_SETTING, raising=False)


def test_there_are_enough() -> None:
    assert len(FILES) >= 300


@pytest.mark.parametrize(("file", "name", "content"), FILES, ids=[f"{file}: {name}" for file, name, _ in FILES])
def test_hostile_files_are_read_or_refused(file: str, name: str, content: object, folder: Path) -> None:
    for old in folder.iterdir():
        old.unlink()
    content = content() if callable(content) else content
    (folder / file).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    if file == "dataset_info.json":
        (folder / "data.json").write_bytes(hostile.TEXTS["same id"])
    found = outcome(folder if file in ("dataset_info.json", "state.json", "dataset_dict.json") else folder / file)
    words = [str(found)] if isinstance(found, ByeError) else [fault.problem for fault in found.faults]
    assert all(text.isprintable() for text in words)
    if isinstance(found, DataSet):
        assert len(found.samples) + sum(fault.fatal for fault in found.faults) == found.size
        for index in range(min(found.size, 3)):
            with contextlib.suppress(ByeError):
                found.record(index)


@pytest.mark.parametrize(
    ("name", "size", "unreadable"), [("a deep field", 2, 1), ("deep in an object", 2, 0), ("deep lines", 20, 20)]
)
def test_one_deep_record_does_not_refuse_the_set(name: str, size: int, unreadable: int, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_bytes(hostile.TEXTS[name])
    found = outcome(tmp_path / "data.json")
    if name == "deep lines":
        assert isinstance(found, ByeError)
        return
    assert isinstance(found, DataSet)
    deep = [fault for fault in found.faults if "nested too deeply" in fault.problem]
    assert (found.size, len(deep)) == (size, 1)


def test_a_shard_without_end_is_said(tmp_path: Path) -> None:
    (tmp_path / "data.tar").write_bytes(hostile.TARS["cut between samples"])
    found = outcome(tmp_path / "data.tar")
    assert isinstance(found, DataSet)
    assert found.notes == ("data.tar has no end mark: samples at its end may be missing.",)


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_dates_that_python_cannot_hold_do_not_refuse_the_row(unit: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(png())
    (tmp_path / "data.parquet").write_bytes(hostile.TABLES[f"dates {unit} Mars/Base"]())
    found = outcome(tmp_path / "data.parquet")
    assert isinstance(found, DataSet)
    assert (len(found.samples), found.faults) == (4, ())
    assert found.record(0)["question"] == "a"


def test_an_annotation_file_that_is_a_link_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_bytes(hostile.TEXTS["same id"])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data.json").symlink_to("../secret.json")
    assert isinstance(outcome(tmp_path / "set"), LinkedOutside)
    assert isinstance(outcome(tmp_path / "set" / "data.json"), DataSet), "this path was named by the user"
    snapshot = tmp_path / "hub" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (tmp_path / "hub" / "blobs").mkdir()
    (tmp_path / "secret.json").rename(tmp_path / "hub" / "blobs" / "abc")
    (snapshot / "data.json").symlink_to("../../blobs/abc")
    assert isinstance(outcome(snapshot), DataSet)


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": 5}, {"path": None}, {"path": b"data.json"}, {"path": ["data.json"]}, {"path": "a\0b"},
        {"path": "data.json", "format": 5}, {"path": "data.json", "format": b"vqa"}, {"path": "x", "split": 3},
        {"path": "data.json", "question": ["What?"]}, {"path": "data.json", "columns": ["image"]},
        {"path": "data.json", "columns": {"image": 5}}, {"path": "data.json", "columns": "image=a"},
    ],
)  # fmt: skip
def test_arguments_that_are_no_text(arguments: dict) -> None:
    with pytest.raises(SettingError):
        load_dataset(**arguments)
