"""Failures that the random data sets of `reader_properties` found, each with its smallest input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bye_core.data import FORMATS, load_dataset
from bye_core.data.dataset_info import UnsupportedInfo
from bye_core.data.text_files import NotReadable
from bye_core.records import Turn
from tests.data import sets
from tests.data.records import read, say


def test_notes_are_printable(tmp_path: Path) -> None:
    data = read(tmp_path, {"image": "images/0.png", "caption": "a cat"}, question="What?\nSay\x00 it.")
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
