"""Loading: which file or folder a path means, dataset_info.json, splits, the hub, and sets that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from bye_core.data import export, load_dataset
from bye_core.data.dataset_info import UnsupportedInfo
from bye_core.data.formats import UnknownFormat
from bye_core.data.load import EmptyDataSet
from bye_core.data.location import DataSetNotFound, HubFailed, NoAnnotations, SeveralAnnotations
from bye_core.data.text_files import NotReadable
from bye_core.records import Turn
from tests.data import sets


def test_renamed_columns_change_the_digest(tmp_path: Path) -> None:
    name = sets.pictures(tmp_path, 1)[0]
    sets.write_csv(tmp_path / "t.csv", [{"image": name, "question": "A?", "other": "B?", "answer": "c"}])
    assert load_dataset(tmp_path).digest != load_dataset(tmp_path, columns={"question": "other"}).digest


def test_dataset_info_renames_keys_and_is_exported(tmp_path: Path) -> None:
    name = sets.pictures(tmp_path / "set", 1)[0]
    record = {"talk": [{"who": "me", "says": "<image>Q"}, {"who": "it", "says": "A"}], "pics": [name]}
    (tmp_path / "set/x.json").write_text(json.dumps([record]))
    tags = {"role_tag": "who", "content_tag": "says", "user_tag": "me", "assistant_tag": "it"}
    entry = {"file_name": "x.json", "formatting": "sharegpt", "columns": {"messages": "talk", "images": "pics"}}
    (tmp_path / "set/dataset_info.json").write_text(
        json.dumps({"x": {**entry, "tags": tags}, "hub": {"hf_hub_url": ""}})
    )
    data = load_dataset(tmp_path / "set")
    assert data.samples[0].turns == (Turn("user", (0, "Q")), Turn("assistant", ("A",)))
    assert load_dataset(tmp_path / "set/x.json").samples == data.samples
    export(data, data.by_id.keys(), [], tmp_path / "out")
    assert load_dataset(tmp_path / "out").samples == data.samples


@pytest.mark.parametrize(
    "entry",
    [
        {"file_name": "../x.json"},
        {"file_name": "x.json", "formatting": "pairwise"},
        {"file_name": "x.json", "columns": {"messages": 3}},
        {"file_name": "x.json", "tags": []},
    ],
)
def test_unsupported_dataset_info(entry: dict, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    (tmp_path / "dataset_info.json").write_text(json.dumps({"x": entry}))
    with pytest.raises(UnsupportedInfo):
        load_dataset(tmp_path)


def test_only_the_training_split_is_read(tmp_path: Path) -> None:
    data = load_dataset(sets.chat_splits(tmp_path / "set"))
    note = "Only the split train was read, not test. To read another one, name it with --split."
    assert data.notes == (note,)
    assert load_dataset(tmp_path / "set/test").size == 1


def test_parquet_rows_in_any_order(tmp_path: Path) -> None:
    data = load_dataset(sets.chat_parquet(tmp_path))
    assert [data.record(k)["n"] for k in (3, 0, 2, 1, 3)] == [3, 0, 2, 1, 3]


def test_data_set_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    saved = datasets.load_from_disk(sets.chat_splits(tmp_path / "set"))
    builder = SimpleNamespace(
        config=SimpleNamespace(data_files={}), download_and_prepare=lambda: None, as_dataset=lambda: saved
    )
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name: builder)
    data = load_dataset("owner/name")
    assert data.format == "chat"
    assert len(data.samples) == 4
    export(data, {data.samples[0].id}, [], tmp_path / "out")
    assert load_dataset(tmp_path / "out").images(load_dataset(tmp_path / "out").samples[0]) == data.images(
        data.samples[0]
    )


def test_hub_failure_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def fail(name: str) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset_builder", fail)
    with pytest.raises(HubFailed, match="no network"):
        load_dataset("owner/name")


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("data.json", b"", NotReadable),
        ("data.json", b"[]", EmptyDataSet),
        ("data.jsonl", b"\n \n", EmptyDataSet),
        ("data.csv", b"", EmptyDataSet),
        ("data.csv", b"question,answer,image\n", EmptyDataSet),
        ("data.csv", b"a,a\n1,2\n", NotReadable),
        ("data.json", b'[{"id": 1}', NotReadable),
        ("data.json", b"[1] 2", NotReadable),
        ("data.json", b"[1 2]", NotReadable),
        ("data.json", b"3", NotReadable),
        ("data.json", b"[" * 100_000, NotReadable),
        ("data.json", b"[1, 2]", UnknownFormat),
        ("data.json", b'[{"a": 1}]', UnknownFormat),
        ("data.parquet", b"PAR1 not really PAR1", NotReadable),
        ("notes.md", b"# Notes", NoAnnotations),
    ],
)
def test_sets_that_cannot_be_read(name: str, content: bytes, error: type, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error):
        load_dataset(tmp_path)


def test_ambiguous_or_missing_paths(tmp_path: Path) -> None:
    for name in ("a.json", "b.csv", "truth.json", "manifest.json", "removed.jsonl"):
        (tmp_path / name).write_text("[]")
    with pytest.raises(SeveralAnnotations, match=r"a\.json, b\.csv"):
        load_dataset(tmp_path)
    with pytest.raises(DataSetNotFound):
        load_dataset(tmp_path / "none.json")
    for name in ("none/data.json.gz", "none/shard-000000.TAR", "none/data.JSONL"):
        with pytest.raises(DataSetNotFound):  # the hub is not asked for a file
            load_dataset(name)
    (tmp_path / "x.bin").write_bytes(b"x")
    with pytest.raises(NotReadable):
        load_dataset(tmp_path / "x.bin")


def test_saved_set_cannot_name_files_outside_its_folder(tmp_path: Path) -> None:
    sets.chat_saved(tmp_path / "other")
    (tmp_path / "set").mkdir()
    file = "../other/data-00000-of-00001.arrow"
    (tmp_path / "set/state.json").write_text(json.dumps({"_data_files": [{"filename": file}]}))
    with pytest.raises(NotReadable, match="outside the folder"):
        load_dataset(tmp_path / "set")


def test_truncated_saved_set(tmp_path: Path) -> None:
    sets.chat_saved(tmp_path / "set")
    file = tmp_path / "set/data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(NotReadable):
        load_dataset(tmp_path / "set")
