"""Failures that the random data sets of `reader_properties` found, each with its smallest input."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from bye_core.data import FORMATS, export, load_dataset
from bye_core.data.dataset_info import UnsupportedInfo
from bye_core.data.formats import UnknownFormat
from bye_core.data.text_files import NotReadable
from bye_core.records import Turn
from tests.data import sets
from tests.data.records import read, say


def test_notes_are_printable(tmp_path: Path) -> None:
    data = read(tmp_path, {"image": "images/0.png", "caption": "a cat"}, question="What?\nSay\x07 it.")
    assert data.notes
    assert all(note.isprintable() for note in data.notes)


def test_half_a_character_in_the_file_name_of_an_entry(tmp_path: Path) -> None:
    sets.llava(tmp_path)
    (tmp_path / "dataset_info.json").write_text('{"a": {"file_name": "\\ud800.json"}}')
    assert load_dataset(tmp_path / "data.json").format == "llava"


def test_an_entry_whose_formatting_is_an_object(tmp_path: Path) -> None:
    sets.llava(tmp_path)
    (tmp_path / "dataset_info.json").write_text('{"a": {"file_name": "data.json", "formatting": {"x": null}}}')
    with pytest.raises(UnsupportedInfo, match=r'its formatting is \{"x": null\}'):
        load_dataset(tmp_path / "data.json")


@pytest.mark.parametrize("kind", ["saved", "parquet"])
def test_a_column_whose_name_is_damaged(kind: str, tmp_path: Path) -> None:
    folder = sets.chat_saved(tmp_path / "set") if kind == "saved" else sets.chat_parquet(tmp_path / "set")
    file = next(path for path in folder.iterdir() if path.suffix in (".arrow", ".parquet"))
    file.write_bytes(file.read_bytes().replace(b"messages", b"\xf5essages"))
    with pytest.raises(NotReadable):
        load_dataset(folder)


def test_a_saved_set_whose_file_is_missing(tmp_path: Path) -> None:
    folder = sets.chat_saved(tmp_path / "set")
    next(folder.glob("*.arrow")).unlink()
    with pytest.raises(NotReadable, match=r"its state\.json names files that are not there"):
        load_dataset(folder)


def test_a_numbered_marker_in_plain_text_keeps_the_image_marker() -> None:
    turns = (Turn("user", (0, "<image_2> What?")), Turn("assistant", ("cat",)))
    assert FORMATS["vqa"].write("a", turns, ("a.png",))["question"] == "<image>\n<image_2> What?"


def test_messages_with_a_number_have_a_format(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    sets.pictures(tmp_path / "set")
    record = {"images": ["images/0.png"], "messages": say(answer=1.5)}
    (tmp_path / "set/data.json").write_text(json.dumps([record]))
    assert load_dataset(tmp_path / "set").format == "sharegpt"


@pytest.mark.parametrize("format", [None, "chat", "vqa"])
def test_records_of_several_formats_by_id(format: str | None, tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    other = {"image": "images/0.png", "conversations": sets.talk("cat")}
    records = {"a": {"image": "images/1.png", "question": "q", "answer": "a"}, "b": other}
    (tmp_path / "data.json").write_text(json.dumps(records))
    assert len(load_dataset(tmp_path, format=format).samples) == 2


def test_damaged_base64_in_a_path_is_not_quoted(tmp_path: Path) -> None:
    text = f"['{'iVBORw0KGgo' + 'aB3' * 20}*']"
    assert "aB3" * 14 not in read(tmp_path, sets.llava_records(sets.pictures(tmp_path))[0],
                                  {"image": text, "question": "q", "answer": "a"}).faults[0].problem  # fmt: skip


def test_an_id_that_is_no_number_is_no_id(tmp_path: Path) -> None:
    """A table has NaN where an id is missing. NaN differs from itself and is no JSON."""
    sets.pictures(tmp_path / "set")
    lines = [{"id": id, "image": str(tmp_path / "set/images/0.png"), "question": "q", "answer": "a"}
             for id in (float("nan"), float("inf"))]  # fmt: skip
    (tmp_path / "set/data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = load_dataset(tmp_path / "set")
    assert [data.parsed_record(sample).id for sample in data.samples] == [None, None]
    for format in ("same", "llava"):
        export(data, [sample.id for sample in data.samples], [], tmp_path / format, format)
    converted = json.loads((tmp_path / "llava/data.json").read_text(), parse_constant=pytest.fail)
    assert [record["id"] for record in converted] == [sample.id for sample in data.samples]


def test_an_object_with_an_image_of_its_own_holds_no_list_of_records(tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    record = {"image": "images/0.png", "caption": [{"answer": "a"}], "label": "x"}
    (tmp_path / "data.jsonl").write_text(json.dumps(record))
    with pytest.raises(UnknownFormat, match="image, caption, label"):
        load_dataset(tmp_path)
    assert [sample.answer for sample in load_dataset(tmp_path, format="captions").samples] == ["a"]


@pytest.mark.parametrize("format", [None, "swift"])
def test_the_list_whose_records_have_all_keys_is_read(format: str | None, tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    record = {"query": "q", "response": "r", "images": ["images/0.png"]}
    lists = {"a": [record], "b": [{"query": "q", "rezponse": "r", "images": ["images/1.png"]}]}
    (tmp_path / "data.json").write_text(json.dumps(lists))
    assert [sample.images for sample in load_dataset(tmp_path, format=format).samples] == [("images/0.png",)]


def test_a_shard_of_texts_of_which_one_names_its_image(tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    record = {"file_name": "images/0.png", "question": "q", "answer": "a"}
    with tarfile.open(tmp_path / "train.tar", "w") as archive:
        for name, text in (("0.txt", "no image"), ("1.json", json.dumps(record)), ("1.txt", "x"), ("2.txt", "y")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    assert [sample.id for sample in load_dataset(tmp_path / "train.tar", format="vqa").samples] == ["1"]


def test_white_space_beside_an_image_is_lost_where_messages_are_texts(tmp_path: Path) -> None:
    data = read(tmp_path, {"images": ["images/0.png"], "texts": [{"user": " What?\n", "assistant": "cat"}]})
    assert data.samples[0].question == " What?\n"
    export(data, [data.samples[0].id], [], tmp_path / "out", "alpaca")
    assert load_dataset(tmp_path / "out").samples[0].question == "What?\n"
