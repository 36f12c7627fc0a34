"""JSON in every layout and encoding: read with the same records, exported byte for byte, or refused with the reason."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bye_core.data import DataSet, export, load_dataset
from bye_core.data.sources import NoSuchSplit, SeveralSplits
from bye_core.data.text_files import NotReadable
from bye_core.errors import ByeError
from tests.data import sets

ENCODINGS = {
    "utf-8": b"", "utf-8-sig": b"", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff",
    "utf_16_le": b"",  # without a byte order mark
    "utf-32-le": b"\xff\xfe\0\0", "utf-32-be": b"\0\0\xfe\xff",
}  # fmt: skip


def records(names: list[str]) -> list[dict[str, Any]]:
    return [{"id": k, "image": name, "conversations": sets.talk(f"ein Käfer {k} 🐞")} for k, name in enumerate(names)]


def pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


LAYOUTS = {
    "list in .jsonl": ("t.jsonl", lambda rows: pretty(rows)),
    "list on one line in .jsonl": ("t.jsonl", lambda rows: line(rows) + "\n"),
    "lines in .json": ("t.json", lambda rows: "\n".join(map(line, rows))),
    "lines with carriage returns": ("t.jsonl", lambda rows: "\r".join(map(line, rows))),
    "lines with blank lines": ("t.jsonl", lambda rows: "\r\n\r\n".join(map(line, rows)) + "\r\n"),
    "objects over several lines": ("t.json", lambda rows: "\n".join(map(pretty, rows))),
    "objects over several lines in .jsonl": ("t.jsonl", lambda rows: "\n\n".join(map(pretty, rows)) + "\n"),
    "objects without anything between": ("t.json", lambda rows: "".join(map(line, rows))),
    "one line, then several": ("t.jsonl", lambda rows: "\n".join([line(rows[0]), *map(pretty, rows[1:])]) + "\n"),
    "data": ("t.json", lambda rows: pretty({"data": rows})),
    "data on one line": ("t.json", lambda rows: line({"data": rows})),
    "annotations among facts": ("t.json", lambda rows: pretty({"version": 1, "annotations": rows, "notes": []})),
    "train": ("t.json", lambda rows: line({"train": rows})),
    "train and test": ("t.json", lambda rows: line({"test": rows[:1], "train": rows})),
    "two objects deep": ("t.json", lambda rows: pretty({"info": {"n": 1}, "data": {"records": rows}})),
    "by id": ("t.json", lambda rows: pretty({str(row["id"]): row for row in rows})),
    "by id on one line": ("t.json", lambda rows: line({str(row["id"]): row for row in rows})),
    "by id, deep": ("t.json", lambda rows: pretty({"data": {str(row["id"]): row for row in rows}})),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_in_every_encoding(layout: str, encoding: str, tmp_path: Path) -> None:
    (name, text), rows = LAYOUTS[layout], records(sets.pictures(tmp_path / "set"))
    content = ENCODINGS[encoding] + text(rows).encode(encoding)
    # An export empties the lists that were not read: their images are not in it.
    kept = line({"test": [], "train": rows}) if layout == "train and test" else text(rows)
    expected = ENCODINGS[encoding] + kept.encode(encoding)
    (tmp_path / "set" / name).write_bytes(content)
    data = load_dataset(tmp_path / "set")
    assert [sample.answer for sample in data.samples] == [f"ein Käfer {k} 🐞" for k in range(4)]
    assert [data.record(k) for k in (3, 0, 2, 1)] == [rows[k] for k in (3, 0, 2, 1)]
    assert load_dataset(data.path).digest == data.digest
    export(data, data.by_id.keys(), [], tmp_path / "all")
    written = (tmp_path / "all" / name).read_bytes()
    assert re.sub(r"\n(\r?\n)+", "\n", written.decode(encoding)) == re.sub(
        r"\n(\r?\n)+", "\n", expected.decode(encoding)
    )
    export(data, {"1", "3"}, [], tmp_path / "out")
    again = load_dataset(tmp_path / "out")
    assert [again.record(k) for k in range(again.size)] == [rows[1], rows[3]]
    assert (tmp_path / "out" / name).read_bytes().startswith(ENCODINGS[encoding])


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".JSONL.GZ", ".ndjson.gz", ".jsonl"])
def test_gzip(suffix: str, tmp_path: Path) -> None:
    rows = records(sets.pictures(tmp_path / "set"))
    (tmp_path / f"set/t{suffix}").write_bytes(gzip.compress("\n".join(map(line, rows)).encode()))
    data = load_dataset(tmp_path / "set")
    assert len(data.samples) == 4
    export(data, {"2"}, [], tmp_path / "out")
    written = (tmp_path / f"out/t{suffix}").read_bytes()
    assert json.loads(gzip.decompress(written)) == rows[2]
    export(data, {"2"}, [], tmp_path / "out")
    assert (tmp_path / f"out/t{suffix}").read_bytes() == written


def test_a_gzip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bye_core.data import text_files

    monkeypatch.setattr(text_files, "FREE_BYTES", 2**20)
    (tmp_path / "t.json.gz").write_bytes(gzip.compress(b" " * 2**28))
    with pytest.raises(NotReadable, match="would expand to more than"):
        load_dataset(tmp_path)


def test_a_table_in_utf16(tmp_path: Path) -> None:
    name = sets.pictures(tmp_path / "set", 1)[0]
    rows = f"image\tquestion\tanswer\r\n{name}\tWas ist das?\tein Käfer\r\n{name}\tUnd?\tzwei\r\n"
    (tmp_path / "set/t.csv").write_bytes(rows.encode("utf-16"))
    data = load_dataset(tmp_path / "set")
    assert [sample.answer for sample in data.samples] == ["ein Käfer", "zwei"]
    export(data, {"record-000001"}, [], tmp_path / "out")
    kept = f"image\tquestion\tanswer\r\n{name}\tUnd?\tzwei\r\n"
    assert (tmp_path / "out/t.csv").read_bytes() == kept.encode("utf-16")


def test_the_key_is_the_id(tmp_path: Path) -> None:
    rows = records(sets.pictures(tmp_path / "set", 2))
    content = {f"key {k}": {"image": row["image"], "conversations": row["conversations"]} for k, row in enumerate(rows)}
    (tmp_path / "set/t.json").write_text(pretty(content), encoding="utf-8")
    data = load_dataset(tmp_path / "set", format="llava")
    assert [sample.id for sample in data.samples] == ["key 0", "key 1"]
    export(data, {"key 1"}, [], tmp_path / "out")
    assert json.loads((tmp_path / "out/t.json").read_text(encoding="utf-8")) == {"key 1": content["key 1"]}
    export(data, {"key 1"}, [], tmp_path / "chat", format="chat")
    assert [sample.id for sample in load_dataset(tmp_path / "chat").samples] == ["key 1"]


def test_a_single_object(tmp_path: Path) -> None:
    rows = records(sets.pictures(tmp_path, 1))
    (tmp_path / "t.json").write_text(pretty(rows[0]), encoding="utf-8")
    data = load_dataset(tmp_path)
    assert (data.size, data.record(0)) == (1, rows[0])


def test_several_lists(tmp_path: Path) -> None:
    rows = records(sets.pictures(tmp_path / "set"))
    (tmp_path / "set/t.json").write_text(line({"train": rows[:3], "test": rows[3:]}), encoding="utf-8")
    data = load_dataset(tmp_path / "set")
    assert data.notes == ("Only the split train was read, not test. To read another one, name it with --split.",)
    assert data.size == 3
    test = load_dataset(tmp_path / "set", split="test")
    assert [sample.id for sample in test.samples] == ["3"]
    export(test, {"3"}, [], tmp_path / "out")
    assert load_dataset(tmp_path / "out", split="test").size == 1
    with pytest.raises(NoSuchSplit, match="no split called dev; it has: train, test"):
        load_dataset(tmp_path / "set", split="dev")
    (tmp_path / "set/t.json").write_text(line({"images": rows, "labels": rows}), encoding="utf-8")
    with pytest.raises(SeveralSplits, match="images, labels"):
        load_dataset(tmp_path / "set")
    assert load_dataset(tmp_path / "set", split="labels").size == 4


GOOD_LIST = line([{"id": 1}, {"id": 2}])
REFUSED = {
    "comment": ("// mine\n" + GOOD_LIST, "line 1, column 1: a comment"),
    "comment inside": ('[\n {"id": 1}, # one\n {"id": 2}]', "line 2, column 13: a comment"),
    "unquoted key": ("[\n  {id: 1}\n]", "line 2, column 4: the key id without quotes"),
    "trailing comma in list": ('[{"id": 1},\n]', "line 2, column 1: a comma before the closing bracket"),
    "trailing comma in object": ('[{"id": 1,}]', "a comma before the closing bracket"),
    "cut in a list": ('[\n{"id": 1},\n{"id"', "line 3, column 6: the file ends in the middle of a record"),
    "cut in a text": ('[\n{"id": "on', "line 2, column 8: a text begins here and does not end"),
    "two lists": (GOOD_LIST + "\n" + GOOD_LIST, "line 2, column 1: a second list begins"),
    "objects with commas": ('{"id": 1},\n{"id": 2}\n', "line 1, column 10: a comma between objects"),
    "python": ("[{'id': 1}]", "line 1, column 3: the quote '"),
    "python words": ('[{"id": None}]', "the Python word None"),
    "line break in a text": ('[{"id": "a\nb"}]', "a line break or control character inside a text"),
    "backslash": ('[{"id": "a\\d"}]', "a backslash that JSON does not know"),
    "missing comma": ('[{"id": 1}\n{"id": 2}]', "line 2, column 1: a comma or bracket is missing"),
    "missing colon": ('[{"id" 1}]', "line 1, column 8: a colon is missing"),
    "page": ("<!DOCTYPE html><html></html>", "an HTML or XML text"),
    "pointer": ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
    "table": ("id,image\n1,a.png\n", "id,image, which is not JSON"),
    "nothing": ("  \n", "the file is empty"),
    "too deep": ("[" * 100_000, "nested too deeply"),
    "columns": ('{"question": ["a", "b"], "answer": ["c", "d"], "image": ["e", "f"]}', "column by column"),
    "pandas": ('{"question": {"0": "a"}, "answer": {"0": "b"}, "image": {"0": "c"}}', "column by column"),
    "key twice": ('{"data": [{"id": 1}], "data": [{"id": 2}]}', "the key data a second time"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_was_seen_where_and_what_to_do(case: str, tmp_path: Path) -> None:
    text, seen = REFUSED[case]
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(NotReadable, match=re.escape(seen)) as caught:
        load_dataset(tmp_path)
    assert caught.value.remedy
    assert "Error" not in str(caught.value)


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"BZh9", b"PAR1", b"\x1f\x8b12"])
def test_files_that_are_no_text(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(head + b"\0\1\2\3")
    with pytest.raises(NotReadable, match="cannot be read: it is"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.csv"])
def test_latin1_says_which_line(name: str, tmp_path: Path) -> None:
    rows = [{"image": image, "question": "Was?", "answer": "K\u00e4fer"} for image in sets.pictures(tmp_path, 2)]
    rows[0]["answer"] = "Hund"
    if name == "t.csv":
        sets.write_csv(tmp_path / name, rows, lineterminator="\n")
        text = (tmp_path / name).read_text(encoding="utf-8")
    else:
        text = pretty(rows) if name == "t.json" else "\n".join(map(line, rows))
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    data = load_dataset(tmp_path)
    number = {"t.json": 10, "t.jsonl": 2, "t.csv": 3}[name]
    assert data.notes[0].startswith(f"{name} is not UTF-8: line {number}, column ")
    assert [sample.answer for sample in data.samples] == ["Hund"]
    assert [fault.index for fault in data.faults] == [1]


def test_a_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    rows = [line(row) for row in records(sets.pictures(tmp_path))]
    bad = [rows[0][:-9], "{'id': 1}", rows[1] + ",", "# note"]
    (tmp_path / "t.jsonl").write_text("\n".join([rows[0], *bad, *rows[1:]]), encoding="utf-8")
    data = load_dataset(tmp_path)
    assert [sample.id for sample in data.samples] == ["0", "1", "2", "3"]
    problems = [fault.problem for fault in data.faults]
    assert len(problems) == 4
    seen_in_lines = ("the line ends in the middle", "the quote '", "more text after the end", "a comment")
    for number, (problem, seen) in enumerate(zip(problems, seen_in_lines, strict=True), 2):
        assert f"line {number}, column " in problem
        assert seen in problem


def test_the_first_line_may_be_the_bad_one(tmp_path: Path) -> None:
    rows = [line(row) for row in records(sets.pictures(tmp_path))]
    (tmp_path / "t.json").write_text("\n".join([rows[0][:30], *rows]), encoding="utf-8")
    data = load_dataset(tmp_path)
    assert (data.size, len(data.samples)) == (5, 4)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wild")
    sets.pictures(path)
    return path


@given(
    rows=st.lists(VALUES, max_size=4),
    layout=st.sampled_from(list(LAYOUTS)),
    encoding=st.sampled_from(list(ENCODINGS)),
    cut=st.integers(0, 400),
    noise=st.binary(max_size=3),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_raises_anything_else(
    rows: list, layout: str, encoding: str, cut: int, noise: bytes, folder: Path
) -> None:
    name, text = LAYOUTS[layout]
    good = records(["images/0.png", "images/1.png"])
    try:
        content = text([*good, *rows])
    except (TypeError, KeyError):  # a layout by id needs ids
        content = text(good)
    data = ENCODINGS[encoding] + content.encode(encoding, "surrogatepass")
    file = folder / name
    file.write_bytes(data[:-cut] + noise + data[len(data) - cut :] if cut % 3 else data[: len(data) - cut])
    try:
        dataset = load_dataset(file)
    except ByeError as error:
        shown = error.problem
    else:
        shown = ""
        _check_counts(dataset)
    assert shown.isprintable()


def _check_counts(dataset: DataSet) -> None:
    usable, refused = {s.index for s in dataset.samples}, {fault.index for fault in dataset.faults if fault.fatal}
    assert usable | refused == set(range(dataset.size))
    assert not usable & refused


def test_an_export_of_a_split_inside_a_file_holds_only_that_split(tmp_path: Path) -> None:
    rows = records(sets.pictures(tmp_path / "set"))
    (tmp_path / "set/t.json").write_text(json.dumps({"a": {"n": 1}, "train": rows[:2], "test": rows[2:]}))
    data = load_dataset(tmp_path / "set", split="test")
    export(data, {data.samples[0].id}, [], tmp_path / "out")
    again = load_dataset(tmp_path / "out")
    assert [again.record(k) for k in range(again.size)] == [rows[2]]
    assert json.loads((tmp_path / "out/t.json").read_text()) == {"a": {"n": 1}, "train": [], "test": [rows[2]]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("json", lambda rows: {"a": {"rows": rows}}),
        ("json", lambda rows: {str(row["id"]): row for row in rows}),
        ("json", lambda rows: rows[0]),
        ("jsonl", lambda rows: rows[0]),
    ],
)
def test_a_shard_without_kept_records_is_read_again(name: str, text: Callable, tmp_path: Path) -> None:
    rows = records(sets.pictures(tmp_path / "set"))
    (tmp_path / f"set/train-00000-of-00002.{name}").write_text(json.dumps(text(rows[:2])))
    (tmp_path / f"set/train-00001-of-00002.{name}").write_text(json.dumps(rows[3]))
    data = load_dataset(tmp_path / "set")
    export(data, {data.samples[-1].id}, [], tmp_path / "out")
    again = load_dataset(tmp_path / "out")
    assert [again.record(k) for k in range(again.size)] == [rows[3]]
