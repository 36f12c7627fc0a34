"""Every format is detected, read, written unchanged and converted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bye_core.data import FORMATS, export, load_dataset
from bye_core.data.formats import MissingColumn, NoSuchColumn, NoSuchFormat, UnknownFormat
from bye_core.records import Turn
from tests.data import sets


@pytest.mark.parametrize("kind", sets.MAKERS)
def test_detected_and_read(kind: str, tmp_path: Path) -> None:
    data = load_dataset(sets.MAKERS[kind](tmp_path / "set"))
    assert data.format == kind.split()[0]
    assert data.faults == ()
    assert data.size == len(data.samples) == 4
    assert [sample.answer for sample in data.samples] == list(sets.ANSWERS)
    assert all(sets.QUESTION in sample.question for k, sample in enumerate(data.samples) if (kind, k) != ("qwen-vl", 1))
    assert [sample.index for sample in data.samples] == [0, 1, 2, 3]
    for k, sample in enumerate(data.samples):
        first = data.images(sample)[0]
        assert first.mode == "RGB"
        if (kind, k) != ("qwen-vl", 1):
            assert np.array_equal(np.asarray(first), np.asarray(sets.picture(k)))


@pytest.mark.parametrize("kind", sets.MAKERS)
def test_same_format_round_trip(kind: str, tmp_path: Path) -> None:
    source = load_dataset(sets.MAKERS[kind](tmp_path / "set"))
    kept = [source.samples[0], source.samples[2], source.samples[3]]
    manifest = export(source, {s.id for s in kept}, [{"id": source.samples[1].id}], tmp_path / "out")
    again = load_dataset(tmp_path / "out")
    assert again.format == source.format
    assert again.faults == ()
    assert [again.record(k) for k in range(3)] == [source.record(s.index) for s in kept]
    assert [s.turns for s in again.samples] == [s.turns for s in kept]
    for new, old in zip(again.samples, kept, strict=True):
        assert again.image_bytes(new, 0) == source.image_bytes(old, 0)
    assert manifest["counts"] == {"records": 4, "kept": 3, "removed": 1}
    assert manifest["source_digest"] == source.digest
    if kind not in ("chat parquet", "chat saved", "chat splits"):
        assert not (tmp_path / "out/images/1.png").exists()


@pytest.mark.parametrize("kind", ["llava", "qwen-vl", "sharegpt", "chat", "imagefolder", "vqa"])
def test_keeping_all_keeps_every_byte(kind: str, tmp_path: Path) -> None:
    source = load_dataset(sets.MAKERS[kind](tmp_path / "set"))
    export(source, source.by_id.keys(), [], tmp_path / "out")
    # Empty lines between JSON lines are no records, hence all that is not kept.
    assert (tmp_path / "out" / source.path.name).read_bytes() == source.path.read_bytes().replace(b"\n\n", b"\n")


def test_kept_json_records_are_copied_unchanged(tmp_path: Path) -> None:
    source = load_dataset(sets.llava(tmp_path / "set"))
    export(source, {"7", "a-3"}, [], tmp_path / "out")
    text = (tmp_path / "out/data.json").read_text()
    assert '"id": 7,' in text
    assert text.count("1.50e0") == 2  # a parsed number would come back as 1.5
    assert text.startswith("[\n   {\n      ")
    assert text.endswith("\n   }\n]\n")
    assert [sample.id for sample in load_dataset(tmp_path / "out").samples] == ["7", "a-3"]


def test_json_spans_of_text_beyond_ascii(tmp_path: Path) -> None:
    names = sets.pictures(tmp_path / "set")
    text = "\ufeff" + json.dumps(sets.llava_records(names), ensure_ascii=False).replace("cat", "猫🐈")
    (tmp_path / "set/data.json").write_text(text, encoding="utf-8")
    source = load_dataset(tmp_path / "set")
    assert [source.record(k)["id"] for k in range(4)] == ["a-0", 7, "a-2", "a-3"]
    assert source.samples[3].answer == "猫🐈"


@pytest.mark.parametrize("kind", ["qwen-vl", "sharegpt", "chat parquet", "vqa"])
@pytest.mark.parametrize("format", ["llava", "qwen-vl", "sharegpt", "chat"])
def test_conversion(kind: str, format: str, tmp_path: Path) -> None:
    source = load_dataset(sets.MAKERS[kind](tmp_path / "set"))
    export(source, source.by_id.keys(), [], tmp_path / "out", format=format)
    again = load_dataset(tmp_path / "out")
    assert (again.format, again.faults) == (format, ())
    assert [(s.id, s.turns) for s in again.samples] == [(s.id, s.turns) for s in source.samples]
    for new, old in zip(again.samples, source.samples, strict=True):
        assert again.images(new) == source.images(old)


@pytest.mark.parametrize("format", ["imagefolder", "vqa"])
def test_conversion_to_tables(format: str, tmp_path: Path) -> None:
    source = load_dataset(sets.llava(tmp_path / "set"))
    export(source, source.by_id.keys(), [], tmp_path / "out", format=format)
    again = load_dataset(tmp_path / "out")
    assert again.format == format
    assert again.samples == source.samples
    assert again.record(1)["id"] == 7


def test_every_format_declares_itself() -> None:
    for name, form in FORMATS.items():
        assert form.name == name
        assert form.title
        assert form.file
        assert set(form.required) <= set(form.columns)
    assert len({form.priority for form in FORMATS.values()}) == len(FORMATS)


def test_markers_become_parts(tmp_path: Path) -> None:
    sample = load_dataset(sets.qwen_vl(tmp_path)).samples[1]
    assert sample.turns[0] == Turn("user", ("Compare", 0, "and", 1, "."))
    assert sample.id == "record-000001"


def test_qwen_inline_images(tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    text = "Picture 1: <img>images/0.png</img>\nPicture 2: <img>images/1.png</img>\nSame?"
    record = {"id": "identity_0", "conversations": sets.talk("no", text, "user", "assistant")}
    (tmp_path / "data.json").write_text(json.dumps([record]))
    data = load_dataset(tmp_path)
    assert data.format == "qwen-vl"
    assert data.samples[0].turns[0].parts == ("Picture 1:", 0, "Picture 2:", 1, "Same?")
    assert data.samples[0].images == ("images/0.png", "images/1.png")


def test_chat_image_numbers_paths_and_the_trl_rule(tmp_path: Path) -> None:
    names = sets.pictures(tmp_path)
    numbered = [{"type": "text", "text": "A"}, {"type": "image", "index": 1}, {"type": "image", "index": 0}]
    inline = [{"type": "image", "path": names[2]}, {"type": "text", "text": "B"}]
    answer = {"role": "assistant", "content": "yes"}
    records = [
        {"images": names[:2], "messages": [{"role": "user", "content": numbered}, answer]},
        {"messages": [{"role": "user", "content": inline}, answer]},
        {"images": names[:2], "messages": [{"role": "user", "content": "plain"}, answer]},
    ]
    (tmp_path / "data.json").write_text("\n".join(json.dumps(record) for record in records))
    data = load_dataset(tmp_path)
    assert data.format == "chat"
    assert [s.turns[0].parts for s in data.samples] == [("A", 1, 0), (0, "B"), (0, 1, "plain")]
    assert data.samples[1].images == (names[2],)


def test_columns_and_named_format(tmp_path: Path) -> None:
    name = sets.pictures(tmp_path, 1)[0]
    sets.write_csv(tmp_path / "t.csv", [{"pic": name, "my_q": "What?", "a": "=cat", "uid": 5}])
    columns = {"image": "pic", "question": "my_q", "answer": "a", "id": "uid"}
    data = load_dataset(tmp_path / "t.csv", columns=columns)
    assert data.format == "vqa"
    assert (data.samples[0].id, data.samples[0].question, data.samples[0].answer) == ("5", "What?", "=cat")
    with pytest.raises(MissingColumn, match="question, answer; it has: pic, my_q, a, uid"):
        load_dataset(tmp_path / "t.csv", format="vqa", columns={"image": "pic"})
    with pytest.raises(NoSuchColumn, match="colour"):
        load_dataset(tmp_path / "t.csv", format="vqa", columns={"colour": "pic"})
    with pytest.raises(NoSuchFormat, match="llava, qwen-vl, sharegpt, chat, imagefolder, vqa"):
        load_dataset(tmp_path / "t.csv", format="coco")
    with pytest.raises(UnknownFormat, match="pic, my_q, a, uid"):
        load_dataset(tmp_path / "t.csv")


def test_a_file_without_any_object_has_no_keys(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('["text", 7]')
    with pytest.raises(UnknownFormat, match="keys: none, because no record is an object"):
        load_dataset(tmp_path / "data.json")


def test_system_turn_and_roles(tmp_path: Path) -> None:
    sample = load_dataset(sets.sharegpt(tmp_path)).samples[0]
    assert [turn.role for turn in sample.turns] == ["system", "user", "assistant"]
    assert sample.turns[0].text == "Be brief."


def test_saved_export_opens_in_datasets(tmp_path: Path) -> None:
    import datasets

    source = load_dataset(sets.chat_saved(tmp_path / "set"))
    export(source, {source.samples[3].id}, [], tmp_path / "out")
    kept = datasets.load_from_disk(tmp_path / "out")
    assert kept.features == datasets.load_from_disk(tmp_path / "set").features
    assert kept["n"][:] == [3]


def test_parquet_export_keeps_schema(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    source = load_dataset(sets.chat_parquet(tmp_path / "set"))
    export(source, {source.samples[1].id, source.samples[2].id}, [], tmp_path / "out")
    old, new = (pq.ParquetFile(tmp_path / place / "train.parquet") for place in ("set", "out"))
    assert new.schema_arrow.equals(old.schema_arrow, check_metadata=True)
    assert new.read().column("n").to_pylist() == [1, 2]
    assert old.num_row_groups == 2  # so that both groups gave one row
