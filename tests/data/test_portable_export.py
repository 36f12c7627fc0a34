"""An export in the same format loads by itself, with all of its images, after the source was moved away.

Only paths that would not lead to the exported images change: absolute ones, file URLs, and ways around the root.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bye_core.data import DataSet, export, load_dataset
from bye_core.data.export import NotPortable
from bye_core.data.export_images import NameClash
from tests.data import sets

Q = sets.QUESTION


def exported(folder: Path, keep: set[str] | None = None, format: str = "same", **options: Any) -> tuple[Path, DataSet]:
    """Export the set in `folder`, move the source away, and load the export."""
    data = load_dataset(folder, **options)
    assert data.faults == () or keep is not None
    out = folder.parent / "out"
    ids = data.by_id.keys() if keep is None else keep
    export(data, ids, [], out, format=format)
    shutil.move(folder, folder.with_name("moved away"))
    again = load_dataset(out, **options)
    assert again.faults == ()
    assert len(again.samples) == len(ids)
    for sample in again.samples:
        assert all(image.size == (6, 5) for image in again.images(sample))
    assert [sample.turns for sample in again.samples] == [s.turns for s in data.samples if s.id in ids]
    return out, again


@pytest.mark.parametrize("name", sets.MAKERS)
def test_every_format_loads_by_itself(name: str, tmp_path: Path) -> None:
    folder = sets.MAKERS[name](tmp_path / "set")
    data = load_dataset(folder)
    keep = {sample.id for sample in data.samples[1:]}
    exported(folder, keep)


SPELLED: dict[str, tuple[str, str | None]] = {
    # spelling in the record: (its new spelling, None if it is unchanged; where its file lies in the export)
    "plain": ("images/0.png", None),
    "dots": ("./images/../images/./0.png", None),
    "backslash": ("images\\0.png", None),
    "slashes": ("images//0.png", None),
    "percent": ("%69mages/0.png", None),
    "through its own folder": ("../set/images/0.png", "images/0.png"),
    "absolute": ("{root}/images/0.png", "images/0.png"),
    "absolute with steps": ("{root}/../set/images/0.png", "images/0.png"),
    "file URL": ("file://{root}/images/0.png", "images/0.png"),
    "relative file URL": ("file:images/0.png", "images/0.png"),
}

WRITERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "llava": lambda path: {"id": "x", "image": path, "path": path, "conversations": sets.talk("cat")},
    "qwen-vl": lambda path: {
        "source": path,
        "conversations": sets.talk("cat", f"Picture 1: <img>{path}</img>\n{Q}", "user", "assistant"),
    },
    "sharegpt": lambda path: {"messages": [{"role": "user", "content": f"<image>{Q}"}, {"role": "assistant", "content": "a"}], "images": [path], "meta": {"images": [path]}},  # noqa: E501
    "both keys": lambda path: {"id": 1, "image": path, "images": [path], "conversations": sets.talk("cat")},
    "chat": lambda path: {"images": [path], "messages": sets.chat_messages("cat")},
    "chat parts": lambda path: {
        "messages": [
            {"role": "user", "content": [{"type": "image", "image": path}, {"type": "text", "text": Q}]},
            {"role": "assistant", "content": "cat"},
        ]
    },
    "chat addresses": lambda path: {
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": path}}, {"type": "text", "text": Q}]},  # noqa: E501
            {"role": "assistant", "content": "cat"},
        ]
    },
    "imagefolder": lambda path: {"file_name": path, "question": Q, "answer": "cat"},
    "vqa": lambda path: {"question_id": 1, "image": path, "question": Q, "answer": "cat"},
    "alpaca": lambda path: {"instruction": f"<image>{Q}", "input": "", "output": "cat", "images": [path]},
    "swift": lambda path: {"query": f"<image>{Q}", "response": "cat", "images": [path]},
    "text that is the path": lambda path: {"id": path, "image": path, "conversations": sets.talk(path)},
}  # fmt: skip


def text_of(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(" , ", " :  "))


LAYOUTS = ("json", "by id", "utf-16")  # they differ in the text around the record only


@pytest.mark.parametrize(
    ("spelling", "layout"),
    [
        *((spelling, "jsonl") for spelling in SPELLED),
        *((one, layout) for layout in LAYOUTS for one in ("absolute", "dots")),
    ],
)
@pytest.mark.parametrize("writer", WRITERS)
def test_only_the_path_is_changed(writer: str, spelling: str, layout: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    sets.pictures(root, 1)
    old, new = SPELLED[spelling]
    old = old.format(root=root)
    new = new or old
    record, number = WRITERS[writer](old), '"score": 1.50e0'
    text = text_of(record)[:-1] + f", {number}}}"
    images = {"path", "source", "meta"}  # keys that name no image
    expected_record = {
        key: value
        if key in images or (key == "id" and value == old)
        else json.loads(json.dumps(value).replace(json.dumps(old)[1:-1], new.replace("\\", "\\\\")))
        for key, value in record.items()
    }
    if writer == "text that is the path":
        expected_record["conversations"] = record["conversations"]
    expected = text_of(expected_record)[:-1] + f", {number}}}"
    name, wrap = {
        "jsonl": ("a.jsonl", "{}\n"),
        "utf-16": ("a.jsonl", "{}\n"),
        "json": ("a.json", " [ {}  ]\n"),
        "by id": ("a.json", '{{ "k" : {} }}'),
    }[layout]
    encoding = "utf-16" if layout == "utf-16" else "utf-8"
    (root / name).write_text(wrap.format(text), encoding=encoding)
    out, again = exported(root)
    assert (out / name).read_text(encoding=encoding) == wrap.format(expected)
    assert (out / "images/0.png").is_file()
    assert again.samples[0].images == (new,)


@pytest.mark.parametrize("options", [{}, {"quoting": csv.QUOTE_ALL}, {"delimiter": ";"}, {"lineterminator": "\n"}])
def test_a_cell_of_a_table(options: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "set"
    sets.pictures(root, 3)
    rows = [
        {"image": f"{root}/images/{k}.png", "question": 'Say "a, b"; c\nd', "answer": f"{root}/images/{k}.png"}
        for k in range(3)
    ]
    sets.write_csv(root / "a.csv", rows, **options)
    expected = [{**row, "image": f"images/{k}.png"} for k, row in enumerate(rows)][1:]
    out, _ = exported(root, {"record-000001", "record-000002"})
    sets.write_csv(tmp_path / "expected.csv", expected, **options)
    assert (out / "a.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()
    assert not (out / "images/0.png").exists()


def test_a_cell_that_lists_images(tmp_path: Path) -> None:
    root = tmp_path / "set"
    names = [f"{root}/{name}" for name in sets.pictures(root, 2)]
    rows = [{"image": cell, "question": "<image><image>Q", "answer": "A"} for cell in (json.dumps(names), str(names))]
    sets.write_csv(root / "a.csv", rows)
    _, again = exported(root)
    assert [sample.images for sample in again.samples] == [("images/0.png", "images/1.png")] * 2


def test_a_table_of_arrow_says_what_helps(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = tmp_path / "set"
    names = sets.pictures(root, 2)
    rows = {"image": [f"{root}/{names[0]}", names[1]], "question": ["Q"] * 2, "answer": ["A"] * 2}
    pq.write_table(pa.table(rows), root / "vqa.parquet")
    data = load_dataset(root)
    with pytest.raises(NotPortable, match=r"1 of the kept samples .* record-000000: .*/set/images/0.png") as caught:
        export(data, data.by_id.keys(), [], tmp_path / "no")
    assert "--format" in caught.value.remedy
    assert not (tmp_path / "no").exists()
    export(data, {"record-000001"}, [], tmp_path / "relative")
    export(data, data.by_id.keys(), [], tmp_path / "out", format="chat")
    shutil.move(root, tmp_path / "gone")
    again = load_dataset(tmp_path / "out")
    assert [sample.images for sample in again.samples] == [(name,) for name in names]
    assert all(again.images(sample) for sample in again.samples)


def test_a_conversion_writes_clean_paths(tmp_path: Path) -> None:
    root = tmp_path / "set"
    sets.pictures(root, 1)
    paths = ["./images/0.png", "images\\0.png", f"file://{root}/images/0.png"]
    records = [{"id": k, "image": path, "conversations": sets.talk("a")} for k, path in enumerate(paths)]
    (root / "data.json").write_text(json.dumps(records))
    data = load_dataset(root)
    export(data, data.by_id.keys(), [], tmp_path / "out", format="chat")
    assert {sample.images for sample in load_dataset(tmp_path / "out").samples} == {("images/0.png",)}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_another_normal_form(form: str, tmp_path: Path) -> None:
    import unicodedata

    root, name = tmp_path / "set", "Größe é/Bild ü.png"
    (root / unicodedata.normalize("NFD", "Größe é")).mkdir(parents=True)
    (root / unicodedata.normalize("NFD", name)).write_bytes(sets.png())
    spelled = unicodedata.normalize(form, name)
    record = {"id": "x", "image": spelled, "conversations": sets.talk("a")}
    (root / "data.json").write_text(json.dumps([record], ensure_ascii=False))
    before = (root / "data.json").read_bytes()
    out, _ = exported(root)
    assert (out / "data.json").read_bytes() == before
    assert (out / spelled).is_file()


def test_names_that_look_like_addresses(tmp_path: Path) -> None:
    root, name = tmp_path / "set", "data:x/0.png"
    (root / name).parent.mkdir(parents=True)
    (root / name).write_bytes(sets.png())
    (root / "data.json").write_text(json.dumps([{"id": 1, "image": f"{root}/{name}", "conversations": sets.talk("a")}]))
    _, again = exported(root)
    assert again.samples[0].images == (f"./{name}",)


def test_folders_that_a_path_only_passes_through(tmp_path: Path) -> None:
    root = tmp_path / "set"
    sets.pictures(root, 1)
    record = {"id": 1, "image": "a/b/../../images/0.png", "conversations": sets.talk("a")}
    (root / "data.json").write_text(json.dumps([record]))
    out, _ = exported(root)
    assert (out / "a/b/../../images/0.png").is_file(), "as other programs open it"


def test_records_that_are_left_out_bring_no_images(tmp_path: Path) -> None:
    root = tmp_path / "set"
    sets.pictures(root, 4)
    (root / "v.mp4").write_bytes(b"video")
    records = [
        {"id": "kept", "image": f"{root}/images/0.png", "conversations": sets.talk("a")},
        {"id": "several", "images": ["images/1.png"], "conversations": sets.talk("a")},
        {"id": "video", "video": "v.mp4", "conversations": sets.talk("a", "<video>What?")},
        {"id": "out", "image": "images/3.png", "conversations": sets.talk("a")},
    ]
    (root / "data.json").write_text(json.dumps(records))
    out, _ = exported(root, {"kept", "several"})
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == [
        "data.json", "images/0.png", "images/1.png", "manifest.json", "removed.csv", "removed.jsonl",
    ]  # fmt: skip


def test_two_images_never_share_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import filecmp

    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    (root / "images/0.png").write_bytes(sets.png())
    record = {"id": 1, "image": "images/0.png", "conversations": sets.talk("a")}
    (root / "data.json").write_text(json.dumps([record]))
    data = load_dataset(root)
    monkeypatch.setattr(Path, "exists", lambda self: self.name == "0.png")  # as if names were folded
    monkeypatch.setattr(filecmp, "cmp", lambda *_, **__: False)
    with pytest.raises(NameClash):
        export(data, {"1"}, [], tmp_path / "out")
