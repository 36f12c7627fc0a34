"""Layouts of public data sets: read, or refused with the reason and a remedy that works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bye_core.data import DataSet, export, load_dataset
from bye_core.data.formats import MissingColumn, UnknownFormat
from bye_core.data.location import NoAnnotations
from bye_core.data.text_files import NotReadable
from tests.data import sets
from tests.data.records import read, user_parts

COCO: dict[str, Any] = {
    "info": {"year": 2017},
    "licenses": [{"id": 1, "name": "x"}],
    "images": [{"id": 9, "file_name": "images/0.png", "height": 5}, {"id": 10, "file_name": "images/1.png"}],
    "annotations": [{"id": k, "image_id": 9 + k % 2, "caption": f"caption {k}"} for k in range(4)],
}


def write(folder: Path, name: str, value: Any) -> Path:
    sets.pictures(folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value))
    return folder


def shown(data: DataSet) -> list[Any]:
    return [(sample.id, sample.answer, data.image_bytes(sample, 0)) for sample in data.samples]


def test_coco_captions_name_images_in_another_list(tmp_path: Path) -> None:
    data = load_dataset(write(tmp_path / "set", "captions_train2017.json", COCO))
    assert [(s.id, s.answer, s.images) for s in data.samples][:2] == [
        ("0", "caption 0", ("images/0.png",)), ("1", "caption 1", ("images/1.png",)),
    ]  # fmt: skip
    assert data.record(0)["file_name"] == "images/0.png"
    export(data, {"1", "2"}, [], tmp_path / "out")
    assert shown(load_dataset(tmp_path / "out")) == shown(data)[1:3]
    written = json.loads((tmp_path / "out/captions_train2017.json").read_text())
    assert written == {**COCO, "annotations": COCO["annotations"][1:3]}


def test_coco_of_one_image(tmp_path: Path) -> None:
    one = {"images": COCO["images"][:1], "annotations": COCO["annotations"][:1]}
    assert len(load_dataset(write(tmp_path / "set", "a.json", one)).samples) == 1
    assert len(load_dataset(tmp_path / "set", format="captions").samples) == 1


def test_coco_in_its_folders(tmp_path: Path) -> None:
    bare = {**COCO, "images": [{"id": 9, "file_name": "0.png"}, {"id": 10, "file_name": "1.png"}]}
    write(tmp_path / "set", "annotations/captions_train2017.json", bare)
    (tmp_path / "set/images").rename(tmp_path / "set/train2017")
    data = load_dataset(tmp_path / "set")
    assert len(data.samples) == 4
    export(data, {"1", "2"}, [], tmp_path / "out")
    assert shown(load_dataset(tmp_path / "out")) == shown(data)[1:3]


def test_paths_relative_to_a_folder_of_images(tmp_path: Path) -> None:
    records = [{"id": k, "image": f"{k}.png", "conversations": sets.talk("cat")} for k in range(3)]
    data = load_dataset(write(tmp_path / "set", "data.json", records))
    assert len(data.samples) == 3
    assert data.root == tmp_path / "set/images"
    export(data, {"1"}, [], tmp_path / "out")
    assert shown(load_dataset(tmp_path / "out")) == shown(data)[1:2]


def test_the_cauldron(tmp_path: Path) -> None:
    texts = [{"user": "q", "assistant": "a", "source": "x"}, {"user": "r", "assistant": "b"}]
    data = read(tmp_path, {"images": ["images/0.png", "images/1.png"], "texts": texts}, {"texts": [None]})
    assert data.format == "cauldron"
    assert user_parts(data) == [(0, 1, "q"), ("r",)]
    assert "text 1 is null, not an object" in data.faults[0].problem
    export(data, data.by_id, [], tmp_path / "chat", format="chat")
    export(load_dataset(tmp_path / "chat"), ["record-000000"], [], tmp_path / "back", format="cauldron")
    assert len(user_parts(load_dataset(tmp_path / "back"))) == 2


@pytest.mark.parametrize(
    "text",
    ["sep=;\r\nimage;question;answer\r\nimages/0.png;q;a\r\n", "image| question| answer\nimages/0.png|q|a\n"],
)
def test_tables_of_excel_and_with_bars(text: str, tmp_path: Path) -> None:
    sets.pictures(tmp_path / "set")
    (tmp_path / "set/t.csv").write_text(text, newline="")
    data = load_dataset(tmp_path / "set")
    assert [(sample.question, sample.answer) for sample in data.samples] == [("q", "a")]
    export(data, data.by_id, [], tmp_path / "out")
    assert (tmp_path / "out/t.csv").read_text().split() == text.split()


def test_a_caption_that_is_json(tmp_path: Path) -> None:
    pair = json.dumps({"question": "q", "chosen": "a", "rejected": "b"})
    data = read(tmp_path, {"image": "images/0.png", "text": pair})
    assert "its text is JSON with the keys question, chosen, rejected" in data.faults[0].problem


@pytest.mark.parametrize("key", ["image_id", "imageId", "img_id"])
def test_images_named_by_number(key: str, tmp_path: Path) -> None:
    with pytest.raises(MissingColumn, match=f"--columns image=my_image.*have {key}, but no path"):
        read(tmp_path, {key: 7, "question": "q", "answer": "a"})
    with pytest.raises(UnknownFormat, match=f"have {key}, but no path"):
        read(tmp_path, {key: 7, "caption": "a"})


def test_messages_under_another_key(tmp_path: Path) -> None:
    record = {"image": "images/0.png", "conversation": sets.talk("cat")}
    with pytest.raises(UnknownFormat, match="use --format llava --columns messages=conversation"):
        read(tmp_path, record)
    assert len(read(tmp_path, record, format="llava", columns={"messages": "conversation"}).samples) == 1


def test_images_named_inside_a_message(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "q", "images": ["images/0.png"]}, {"role": "assistant", "content": "a"}]
    data = read(tmp_path, {"messages": messages})
    assert "message 1 has the key images, which only a record may have" in data.faults[0].problem
    assert data.text_only == ()


def test_a_folder_of_images_alone(tmp_path: Path) -> None:
    sets.pictures(tmp_path / "train/cat")
    with pytest.raises(NoAnnotations, match=r"write a metadata\.csv"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(("name", "why"), [("a.zip", "zip archive. Unpack"), ("a.xlsx", "spreadsheet. Save")])
def test_archives_and_spreadsheets(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(NotReadable, match=why):
        load_dataset(tmp_path / name)
