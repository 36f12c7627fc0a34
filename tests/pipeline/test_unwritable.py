"""Poisoning, fine-tuning and decisions on a folder that cannot be written, and left-overs of killed processes."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from bye_core import files, pipeline
from bye_core.data import export, load_dataset
from bye_core.data.export_images import ReservedName
from bye_core.data.folders import atomic_folder
from bye_core.data.llava_set import CannotWriteSet
from bye_core.detect.entropy_file import read_entropies
from bye_core.detect.errors import NoScores, UnknownSetting
from bye_core.errors import SettingError
from bye_core.files import hold, write_atomic
from bye_core.records import Decision
from bye_core.runs import Run, RunNotWritable
from tests import made_run
from tests.data.sets import llava, png


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llava(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run.make_run(tmp_path_factory.mktemp("made"), samples=4)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_poison_names_a_folder_that_cannot_be_written(
    data: Path, tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    attack = pipeline.plan_attack(["patch"])
    with pytest.raises(CannotWriteSet, match=os.strerror(code)):
        list(pipeline.poison(data, tmp_path / "out", attack, rate=0.5))
    assert list(tmp_path.iterdir()) == []


def test_poison_and_finetune_into_a_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    attack = pipeline.plan_attack(["patch"])
    with pytest.raises(CannotWriteSet):
        list(pipeline.poison(data, tmp_path / "file" / "out", attack, rate=0.5))
    with pytest.raises(SettingError):
        list(pipeline.poison(data, tmp_path / "file", attack, rate=0.5))
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(RunNotWritable):
            list(pipeline.finetune("model", data, out))


def test_finetune_names_a_folder_that_cannot_be_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(RunNotWritable, match="Permission denied"):
        list(pipeline.finetune("model", data, tmp_path / "out"))


@pytest.mark.parametrize("name", ["manifest.json/x.png", "removed.csv/x.png", "data.json/../a.png", "x.arrow/a/b.png"])
def test_pictures_in_folders_named_like_files_of_an_export(name: str, tmp_path: Path) -> None:
    source = tmp_path / "set"
    (source / name).parent.resolve().mkdir(parents=True, exist_ok=True)
    (source / name.split("/")[0]).mkdir(parents=True, exist_ok=True)
    (source / name).write_bytes(png())
    record = {"id": "a", "image": name, "question": "What?", "answer": "A cat."}
    (source / "set.json").write_text(json.dumps([record]))
    dataset = load_dataset(source / "set.json")
    with pytest.raises(ReservedName):
        export(dataset, ["a"], [], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_left_overs_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "JUST_CREATED", 0.0)
    (tmp_path / ".out.abc.new" / "images").mkdir(parents=True)
    (tmp_path / ".a.json-0123.tmp").write_text("half")
    (tmp_path / ".b.json-0123.tmp").write_text("of another file")
    (tmp_path / ".out.used.new").mkdir()
    descriptor = os.open(tmp_path / ".out.used.new", os.O_RDONLY)
    hold(descriptor)
    try:
        write_atomic(tmp_path / "a.json", b"{}")
        with atomic_folder(tmp_path / "out") as folder:
            (folder / "x").write_bytes(b"")
    finally:
        os.close(descriptor)
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "out", ".b.json-0123.tmp", ".out.used.new"}


@pytest.mark.parametrize("name", ["table", "method", "run_path", "tuned_on_this_data", "self"])
def test_settings_with_the_names_of_arguments_are_unknown_settings(name: str, run_path: Path) -> None:
    with pytest.raises(UnknownSetting):
        pipeline.detect_run(run_path, "bye", **{name: 1})


@pytest.mark.parametrize("fields", [{"reviewer": 5}, {"note": None}, {"choice": ["reject"]}, {"choice": None}])
def test_decisions_that_are_no_text_are_refused(fields: dict, run_path: Path) -> None:
    run = Run.open(run_path)
    with pytest.raises(SettingError):
        run.decide([Decision(**({"id": "s00001", "choice": "reject"} | fields))])
    assert run.decisions() == {}


def test_a_sparse_file_of_entropies_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bye_core.detect.entropy_file.FREE_VALUES", 10_000)
    lines = [json.dumps({"question_id": n, "entropy": {"1023": 1.0}}) for n in range(20)]
    (tmp_path / "e.jsonl").write_text("\n".join(lines))
    with pytest.raises(NoScores, match="hold only"):
        read_entropies(tmp_path / "e.jsonl")
