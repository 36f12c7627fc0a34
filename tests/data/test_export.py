"""An export appears when complete, replaces only an earlier export, and describes itself."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bye_core.data import DataSet, export, folders, load_dataset
from bye_core.data.export import (
    CannotConvertSome,
    CannotWrite,
    NothingToKeep,
    OutInUse,
    OutIsSource,
    UnknownIds,
    csv_cell,
    is_export,
)
from bye_core.data.export_images import ReservedName
from bye_core.data.formats import NoSuchFormat
from bye_core.data.path_spellings import MissingImage
from tests.data import sets


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return load_dataset(sets.llava(tmp_path / "set"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_what_is_written(data: DataSet, tmp_path: Path) -> None:
    row = {"id": "7", "why": "=SUM(A1)", "score": np.float32(0.5), "layers": np.array([1, 2])}
    manifest = export(data, {"a-0", "a-2"}, [row, {"id": "a-3"}], tmp_path / "out", manifest={"settings": {"bsi": 1}})
    out = tmp_path / "out"
    assert sorted(content(out)) == [
        "data.json", "images/0.png", "images/2.png", "manifest.json", "removed.csv", "removed.jsonl",
    ]  # fmt: skip
    lines = [json.loads(line) for line in (out / "removed.jsonl").read_text().splitlines()]
    assert lines == [{"id": "7", "why": "=SUM(A1)", "score": 0.5, "layers": [1, 2]}, {"id": "a-3"}]
    with (out / "removed.csv").open(newline="") as file:
        assert list(csv.reader(file))[:2] == [["id", "why", "score", "layers"], ["7", "'=SUM(A1)", "0.5", "[1, 2]"]]
    assert json.loads((out / "manifest.json").read_text()) == manifest
    assert manifest["settings"] == {"bsi": 1}
    assert manifest["format"] == "llava"
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    assert set(manifest["files"]) == {"data.json", "removed.jsonl", "removed.csv"}
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("value", "cell"),
    [("=1", "'=1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("a=1", "a=1"), (-1, "-1"), ("\ud800", "\\ud800")],
)
def test_csv_cells(value: Any, cell: str) -> None:
    assert csv_cell(value) == cell


def test_pictures_are_linked_or_copied(data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(data, {"a-0"}, [], tmp_path / "linked")
    assert (tmp_path / "linked/images/0.png").samefile(tmp_path / "set/images/0.png")

    def refuse(*_: Any) -> None:
        raise OSError(18, "another disk")

    monkeypatch.setattr(os, "link", refuse)
    export(data, {"a-0"}, [], tmp_path / "copied")
    assert not (tmp_path / "copied/images/0.png").samefile(tmp_path / "set/images/0.png")
    assert content(tmp_path / "copied") == content(tmp_path / "linked")


@pytest.mark.parametrize("exchange", [True, False])
def test_an_earlier_export_is_replaced(
    exchange: bool, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    export(data, {"a-0"}, [], tmp_path / "out")
    export(data, {"a-2", "a-3"}, [], tmp_path / "out")
    assert [sample.id for sample in load_dataset(tmp_path / "out").samples] == ["a-2", "a-3"]
    assert not (tmp_path / "out/images/0.png").exists()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("broken", ["source.write", "rename", "second rename", "fsync", "copy"])
def test_interrupted_export_leaves_the_old_one(
    broken: str, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(data, {"a-0"}, [], tmp_path / "out")
    before = content(tmp_path / "out")
    calls = []

    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    def fail_second(*args: Any, rename: Any = os.rename) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise OSError("disk full")
        rename(*args)

    if broken == "source.write":
        monkeypatch.setattr(type(data.source), "write", fail)
    elif broken == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif broken == "copy":
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError()))
        monkeypatch.setattr(shutil, "copyfile", fail)
    else:
        monkeypatch.setattr(folders, "_exchange", lambda *_: False)
        monkeypatch.setattr(os, "rename", fail if broken == "rename" else fail_second)
    with pytest.raises((KeyboardInterrupt, CannotWrite)):
        export(data, {"a-2"}, [], tmp_path / "out")
    assert content(tmp_path / "out") == before
    assert leftovers(tmp_path) == []


KILLED = """
import os, signal, sys
from bye_core.data import export, load_dataset
name, count, calls = sys.argv[3], int(sys.argv[4]), []
real = getattr(os, name)
def patched(*args, **options):
    calls.append(args)
    if len(calls) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **options)
setattr(os, name, patched)
data = load_dataset(sys.argv[1])
export(data, {"a-2", "a-3"}, [], sys.argv[2])
"""


@pytest.mark.parametrize(("call", "count"), [("link", 2), ("fsync", 1), ("fsync", 4)])
def test_a_killed_export_leaves_the_old_one(call: str, count: int, data: DataSet, tmp_path: Path) -> None:
    export(data, {"a-0"}, [], tmp_path / "out")
    before = content(tmp_path / "out")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "set"), str(tmp_path / "out"), call, str(count)]
    assert subprocess.run(command, check=False).returncode == -9
    assert content(tmp_path / "out") == before
    export(data, {"a-2"}, [], tmp_path / "out")  # what the killed one left behind is no hindrance
    assert len(load_dataset(tmp_path / "out").samples) == 1


def test_a_place_that_cannot_be_written(data: DataSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite):
        export(data, {"a-0"}, [], tmp_path / "file/out")


def test_a_kill_between_two_renames_is_undone(data: DataSet, tmp_path: Path) -> None:
    export(data, {"a-0"}, [], tmp_path / "out")
    before = content(tmp_path / "out")
    (tmp_path / "out").rename(folders.backup_path(tmp_path / "out"))
    folders.restore_backup(tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_a_missing_picture_ends_the_export_cleanly(data: DataSet, tmp_path: Path) -> None:
    (tmp_path / "set/images/2.png").unlink()
    with pytest.raises(MissingImage):
        export(data, {"a-2"}, [], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert leftovers(tmp_path) == []


def test_other_folders_are_never_replaced(data: DataSet, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export(data, {"a-0"}, [], out)  # empty: fine
    assert is_export(out)
    for text in ("{}", "[1]", "no JSON", "[" * 100_000):
        (out / "manifest.json").write_text(text)
        with pytest.raises(OutInUse):
            export(data, {"a-0"}, [], out)
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OutInUse):
        export(data, {"a-0"}, [], file)


def test_the_source_is_never_replaced(data: DataSet, tmp_path: Path) -> None:
    export(data, {"a-0"}, [], tmp_path / "out")
    again = load_dataset(tmp_path / "out")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for place in (tmp_path / "out", tmp_path, tmp_path / "link"):
        with pytest.raises(OutIsSource):
            export(again, {"a-0"}, [], place)
    export(again, {"a-0"}, [], tmp_path / "out/inner")
    assert is_export(tmp_path / "out/inner")


def test_wrong_requests(data: DataSet, tmp_path: Path) -> None:
    with pytest.raises(UnknownIds, match=r"2 of the ids .* nobody, nothing"):
        export(data, {"a-0", "nobody", "nothing"}, [], tmp_path / "out")
    with pytest.raises(NothingToKeep):
        export(data, set(), [], tmp_path / "out")
    with pytest.raises(NoSuchFormat, match="same, llava"):
        export(data, {"a-0"}, [], tmp_path / "out", format="coco")
    with pytest.raises(TypeError):
        export(data, {"a-0"}, [{"x": object()}], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_samples_that_do_not_fit_a_format(tmp_path: Path) -> None:
    sets.pictures(tmp_path / "set")
    content = [{"type": "image"}, {"type": "text", "text": "What does <image> mean?"}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "a tag"}]
    record = {"id": "x", "images": ["images/0.png"], "messages": messages}
    (tmp_path / "set/data.json").write_text(json.dumps([record]))
    data = load_dataset(tmp_path / "set")
    with pytest.raises(CannotConvertSome, match="x: A user message holds a literal <image>"):
        export(data, {"x"}, [], tmp_path / "out", format="llava")
    assert export(data, {"x"}, [], tmp_path / "out", format="chat")["counts"]["kept"] == 1
    two = load_dataset(sets.qwen_vl(tmp_path / "two"))
    with pytest.raises(CannotConvertSome, match="one question with one image"):
        export(two, two.by_id.keys(), [], tmp_path / "out", format="vqa")


@pytest.mark.parametrize("name", ["manifest.json", "DATA.JSON", "./removed.jsonl", "images/../x.json"])
def test_pictures_cannot_pose_as_our_files(name: str, tmp_path: Path) -> None:
    sets.pictures(tmp_path / "set")
    (tmp_path / "set" / name).write_bytes(sets.png())
    record = {"id": "x", "image": name, "conversations": sets.talk("a")}
    (tmp_path / "set/annotations.json").write_text(json.dumps([record]))
    data = load_dataset(tmp_path / "set/annotations.json")
    with pytest.raises(ReservedName):
        export(data, {"x"}, [], tmp_path / "out")


def test_samples_may_share_a_picture(tmp_path: Path) -> None:
    name = sets.pictures(tmp_path / "set", 1)[0]
    records = [{"id": k, "image": name, "conversations": sets.talk("a")} for k in range(3)]
    (tmp_path / "set/data.json").write_text(json.dumps(records))
    data = load_dataset(tmp_path / "set")
    export(data, data.by_id.keys(), [], tmp_path / "out", format="chat")
    assert len(load_dataset(tmp_path / "out").samples) == 3
