"""Splits, shards and entries of dataset_info.json: what is read by default, what --split chooses, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bye_core.cli import main
from bye_core.data import DataSet, export, load_dataset
from bye_core.data.dataset_info import UnsupportedInfo
from bye_core.data.location import NoAnnotations, SeveralAnnotations, SeveralEntries
from bye_core.data.sources import NoSuchSplit, SeveralSplits
from tests.data import sets

NOTE = "Only the split train was read, not {}. To read another one, name it with --split."


def rows(names: list[str], answer: str) -> list[dict[str, Any]]:
    return [{"image": name, "question": "What?", "answer": f"{answer} {k}"} for k, name in enumerate(names)]


def write(file: Path, records: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def parquet(file: Path, answers: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    image = pa.array([{"bytes": sets.png(sets.picture(k)), "path": None} for k in range(len(answers))])
    pq.write_table(pa.table({"image": image, "question": ["What?"] * len(answers), "answer": answers}), file)


def answers(data: DataSet) -> list[str]:
    return [sample.answer for sample in data.samples]


def reopened(data: DataSet, **options: Any) -> DataSet:
    """Read the set again as a later stage does: its path, its format, and the user's options."""
    return load_dataset(data.path, data.format, **options)


def imagefolder_splits(folder: Path) -> None:
    for split in ("train", "test"):
        names = [Path(name).name for name in sets.pictures(folder / "made", 2)]
        (folder / split).mkdir()
        for name in names:
            (folder / "made/images" / name).rename(folder / split / name)
        metadata = [{"file_name": name, "question": "What?", "answer": f"{split} {name}"} for name in names]
        write(folder / split / "metadata.jsonl", metadata)


def json_splits(folder: Path) -> None:
    names = sets.pictures(folder)
    for split in ("train", "test"):
        write(folder / f"{split}.jsonl", rows(names[:2], split))


def folders_of_json(folder: Path) -> None:
    names = sets.pictures(folder)  # images are named relative to the folder above the splits
    for split in ("train", "validation"):
        write(folder / split / "annotations.jsonl", rows(names[:2], split))


def parquet_splits(folder: Path) -> None:
    for split, number in (("train", 2), ("test", 1)):
        for k in range(number):
            parquet(folder / f"data/{split}-{k:05d}-of-{number:05d}.parquet", [f"{split} {k} a", f"{split} {k} b"])


def converted_parquet(folder: Path) -> None:
    for split in ("train", "test"):
        for k in range(2):
            parquet(folder / f"default/{split}/{k:04d}.parquet", [f"{split} {k} a", f"{split} {k} b"])


SPLITS = {
    "imagefolder": (imagefolder_splits, "test"),
    "files": (json_splits, "test"),
    "folders": (folders_of_json, "validation"),
    "parquet shards": (parquet_splits, "test"),
    "parquet in folders": (converted_parquet, "test"),
    "saved": (lambda folder: sets.chat_splits(folder), "test"),
}


@pytest.mark.parametrize("kind", SPLITS)
def test_train_is_read_and_the_others_are_said(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, other = SPLITS[kind]
    folder = tmp_path / "set"
    make(folder)
    data = load_dataset(folder)
    assert data.notes == (NOTE.format(other),)
    assert data.size == len(data.samples)
    assert reopened(data).digest == data.digest
    assert main.main(["check", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [NOTE.format(other)]

    test = load_dataset(folder, split=other)
    assert (test.notes, test.size) == ((), len(test.samples))
    assert answers(test) != answers(data) or kind == "saved"
    assert reopened(test, split=other).digest == test.digest
    export(test, test.by_id.keys(), [], tmp_path / "out")
    assert answers(load_dataset(tmp_path / "out")) == answers(test)
    with pytest.raises(NoSuchSplit, match=f"no split called dev; it has: .*{other}"):
        load_dataset(folder, split="dev")


def test_without_train_the_splits_are_listed(tmp_path: Path) -> None:
    from datasets import DatasetDict

    imagefolder_splits(tmp_path / "folders")
    (tmp_path / "folders/train").rename(tmp_path / "folders/validation")
    with pytest.raises(SeveralSplits, match="none is called train: test, validation"):
        load_dataset(tmp_path / "folders")
    DatasetDict({"a": sets.chat_table(), "b": sets.chat_table()}).save_to_disk(tmp_path / "saved")
    with pytest.raises(SeveralSplits, match="a, b"):
        load_dataset(tmp_path / "saved")
    assert load_dataset(tmp_path / "saved", split="b").size == 4
    parquet(tmp_path / "files/test-00000-of-00001.parquet", ["x"])
    parquet(tmp_path / "files/validation-00000-of-00001.parquet", ["y"])
    with pytest.raises(SeveralSplits, match="test, validation"):
        load_dataset(tmp_path / "files")
    assert answers(load_dataset(tmp_path / "files", split="validation")) == ["y"]


def test_a_split_that_is_none(tmp_path: Path) -> None:
    sets.llava(tmp_path)
    with pytest.raises(NoSuchSplit, match="no split called test; it has: no splits"):
        load_dataset(tmp_path, split="test")
    with pytest.raises(NoSuchSplit):
        load_dataset(tmp_path / "data.json", split="test")


@pytest.mark.parametrize("names", [("a.jsonl", "b.jsonl"), ("train.jsonl", "more.jsonl"), ("train.jsonl", "train.csv")])
def test_files_that_are_no_splits_are_ambiguous(names: tuple[str, str], tmp_path: Path) -> None:
    pictures = sets.pictures(tmp_path, 1)
    for name in names:
        sets.write_csv(tmp_path / name, rows(pictures, name)) if name.endswith("csv") else write(
            tmp_path / name, rows(pictures, name)
        )
    with pytest.raises(SeveralAnnotations, match=", ".join(sorted(names))):
        load_dataset(tmp_path)
    assert answers(load_dataset(tmp_path, split=names[0])) == [f"{names[0]} 0"]


def test_shards_are_one_set(tmp_path: Path) -> None:
    parquet_splits(tmp_path / "set")
    data = load_dataset(tmp_path / "set")
    assert answers(data) == ["train 0 a", "train 0 b", "train 1 a", "train 1 b"]
    assert data.images(data.samples[3])[0].size == (6, 5)
    export(data, {"record-000001", "record-000002"}, [], tmp_path / "out")
    again = load_dataset(tmp_path / "out")
    assert answers(again) == ["train 0 b", "train 1 a"]
    assert again.notes == ()
    export(data, {"record-000003"}, [], tmp_path / "out")
    assert answers(load_dataset(tmp_path / "out")) == ["train 1 b"]
    one = load_dataset(tmp_path / "set/data/train-00001-of-00002.parquet")
    assert answers(one) == ["train 1 a", "train 1 b"]
    (tmp_path / "set/data/train-00000-of-00002.parquet").unlink()
    assert load_dataset(tmp_path / "set").notes[-1] == "Shards of train are missing: 00000-of-00002."


def test_json_shards(tmp_path: Path) -> None:
    names = sets.pictures(tmp_path / "set")
    for k in range(3):
        write(tmp_path / f"set/part-{k:05d}.jsonl", rows(names, f"shard {k}"))
    data = load_dataset(tmp_path / "set")
    assert data.size == 12
    export(data, {"record-000000", "record-000011"}, [], tmp_path / "out")
    assert answers(load_dataset(tmp_path / "out")) == ["shard 0 0", "shard 2 3"]


def test_a_folder_without_records_says_so(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(NoAnnotations):
        load_dataset(tmp_path)


# --- dataset_info.json ------------------------------------------------------------------------------------------------


def info(folder: Path, **entries: dict[str, Any]) -> None:
    (folder / "dataset_info.json").write_text(json.dumps(entries))


def own_talk(names: list[str]) -> list[dict[str, Any]]:
    return [
        {"talk": [{"who": "me", "says": "<image>Q"}, {"who": "it", "says": f"A {k}"}], "pics": [name]}
        for k, name in enumerate(names)
    ]


OWN = {
    "formatting": "sharegpt",
    "columns": {"messages": "talk", "images": "pics"},
    "tags": {"role_tag": "who", "content_tag": "says", "user_tag": "me", "assistant_tag": "it"},
}


def test_entries_by_name_and_by_file(tmp_path: Path) -> None:
    names = sets.pictures(tmp_path / "set")
    write(tmp_path / "set/sub/deep/own.jsonl", own_talk(names))
    write(tmp_path / "set/plain.jsonl", rows(names, "plain"))
    alpaca = [{"instruction": "<image>Q", "input": "", "output": "B", "images": names[:1]}]
    (tmp_path / "set/alpaca.json").write_text(json.dumps(alpaca))
    info(tmp_path / "set", own={"file_name": "sub/deep/own.jsonl", **OWN}, al={"file_name": "alpaca.json"})
    with pytest.raises(SeveralEntries, match=r"own \(sub/deep/own.jsonl\), al \(alpaca.json\)"):
        load_dataset(tmp_path / "set")
    by_name = load_dataset(tmp_path / "set", split="own")
    by_file = load_dataset(tmp_path / "set/sub/deep/own.jsonl")
    assert answers(by_name) == answers(by_file) == [f"A {k}" for k in range(4)]
    assert by_name.digest == by_file.digest
    assert reopened(by_name, split="own").digest == reopened(by_file).digest == by_name.digest
    assert load_dataset(tmp_path / "set/dataset_info.json", split="al").format == "alpaca"
    assert answers(load_dataset(tmp_path / "set/alpaca.json")) == ["B"]
    assert answers(load_dataset(tmp_path / "set/plain.jsonl")) == [f"plain {k}" for k in range(4)]
    with pytest.raises(NoSuchSplit, match="no split called other; it has: own"):
        load_dataset(tmp_path / "set", split="other")
    export(by_name, {"record-000002"}, [], tmp_path / "out")
    assert answers(load_dataset(tmp_path / "out")) == ["A 2"]
    assert answers(load_dataset(tmp_path / "out", split="own")) == ["A 2"]


def test_format_and_columns_overrule_an_entry(tmp_path: Path) -> None:
    names = sets.pictures(tmp_path, 2)
    write(tmp_path / "t.jsonl", [{**row, "other": "C"} for row in rows(names, "A")])
    info(tmp_path, t={"file_name": "t.jsonl", "formatting": "unknown", "columns": 3})
    with pytest.raises(UnsupportedInfo, match="formatting is unknown, and only sharegpt, openai, alpaca are read"):
        load_dataset(tmp_path)
    assert answers(load_dataset(tmp_path, format="vqa")) == ["A 0", "A 1"]
    assert answers(load_dataset(tmp_path, format="vqa", columns={"answer": "other"})) == ["C", "C"]
    write(tmp_path / "t.jsonl", own_talk(names))
    info(tmp_path, t={"file_name": "t.jsonl", **OWN, "columns": {"messages": "none", "images": "pics"}})
    assert answers(load_dataset(tmp_path, columns={"conversations": "talk"})) == ["A 0", "A 1"]


def test_an_entry_of_openai_messages(tmp_path: Path) -> None:
    name = sets.pictures(tmp_path, 1)[0]
    messages = [{"role": "user", "content": "<image>Q"}, {"role": "assistant", "content": "A"}]
    write(tmp_path / "t.jsonl", [{"messages": messages, "images": [name]}])
    info(tmp_path, t={"file_name": "t.jsonl", "formatting": "openai", "columns": {"messages": "messages"}})
    assert answers(load_dataset(tmp_path)) == ["A"]


@pytest.mark.parametrize("file", ["../t.jsonl", "/etc/hostname", "none.json", "", "a\0b", "https://x.y/t.json"])
def test_an_entry_leads_to_no_file_outside(file: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"id": 1}')
    (tmp_path / "set").mkdir()
    info(tmp_path / "set", t={"file_name": file})
    with pytest.raises((UnsupportedInfo, NoAnnotations)):
        load_dataset(tmp_path / "set")
