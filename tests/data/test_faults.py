"""Every way a record can be wrong: the exact fault, for the exact sample, and nothing else lost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bye_core.data import FORMATS, check_samples, export, load_dataset, sample_fault
from bye_core.data.faults import printable
from bye_core.data.images import BrokenImage
from bye_core.errors import ModelError
from bye_core.pipeline.check import known_markers
from tests.data import sets

GOOD = {"id": "good", "image": "images/0.png", "conversations": sets.talk("cat")}


def load(folder: Path, *records: Any, **options: Any) -> Any:
    sets.pictures(folder, 2)
    (folder / "data.json").write_text(json.dumps([GOOD, *records]))
    return load_dataset(folder, **options)


def found(data: Any) -> list[tuple[str, str]]:
    return [(fault.id, fault.kind) for fault in data.faults]


BAD = {
    "DuplicateId": {**GOOD},
    "EmptyAnswer": {**GOOD, "id": "x", "conversations": sets.talk(" \n")},
    "NoAnswer": {**GOOD, "id": "x", "conversations": sets.talk("cat")[:1]},
    "EmptyQuestion": {**GOOD, "id": "x", "conversations": sets.talk("cat", "<image>\n")},
    "TurnOrder": {**GOOD, "id": "x", "conversations": sets.talk("cat")[::-1]},
    "MissingMarker": {**GOOD, "id": "x", "conversations": sets.talk("cat", "What?")},
    "MarkerMismatch": {**GOOD, "id": "x", "conversations": sets.talk("cat", "<image><image> What?")},
    "MarkerMismatch 2": {**GOOD, "id": "x", "image": ["images/0.png", "images/1.png"]},
    "NoImage": {"id": "x", "conversations": sets.talk("cat", "What?")},
    "NoImage 2": {**GOOD, "id": "x", "image": ""},
    "UnknownRole": {**GOOD, "id": "x", "conversations": sets.talk("cat", human="robot")},
    "UnknownRole 2": {**GOOD, "id": "x", "conversations": [{"from": ["human"], "value": "What?"}]},
    "BadText": {**GOOD, "id": "x", "conversations": sets.talk("cat\x00")},
    "BadText 2": {**GOOD, "id": "x", "conversations": sets.talk("cat \ud83d")},
    "BadText 3": {**GOOD, "id": "x", "image": "images/\x00.png"},
    "ImageOutsideDataset": {**GOOD, "id": "x", "image": "/etc/hostname"},
    "ImageOutsideDataset 2": {**GOOD, "id": "x", "image": "images/../images/0.png"},
    "ImageOutsideDataset 3": {**GOOD, "id": "x", "image": "C:\\Windows\\win.ini"},
    "ImageOutsideDataset 4": {**GOOD, "id": "x", "image": "images\\..\\..\\x.png"},
    "ImageOutsideDataset 5": {**GOOD, "id": "x", "image": "//host/share/x.png"},
    "ImageIsUrl": {**GOOD, "id": "x", "image": "https://example.com/x.png"},
    "ImageIsUrl 2": {**GOOD, "id": "x", "image": "data:image/png;base64,AAAA"},
    "ImageIsUrl 3": {**GOOD, "id": "x", "image": "FILE:///etc/hostname"},
    "ImageIsUrl 4": {**GOOD, "id": "x", "image": "embedded:000000/0"},
    "MissingImage": {**GOOD, "id": "x", "image": "images/9.png"},
    "MissingImage 2": {**GOOD, "id": "x", "image": "images"},
    "MissingImage 3": {**GOOD, "id": "x", "image": "n" * 5000},
    "MalformedRecord": {**GOOD, "id": "x", "conversations": "hello"},
    "MalformedRecord 2": {**GOOD, "id": "x", "conversations": [3]},
    "MalformedRecord 3": {**GOOD, "id": "x", "conversations": [{"value": "hello"}]},
    "MalformedRecord 4": {**GOOD, "id": "x", "conversations": [{"from": "human", "value": None}]},
    "MalformedRecord 5": {**GOOD, "id": "x", "image": 3},
    "MalformedRecord 6": {**GOOD, "id": "x", "image": [["images/0.png"]]},
}


@pytest.mark.parametrize("case", BAD)
def test_one_bad_record(case: str, tmp_path: Path) -> None:
    data = load(tmp_path, BAD[case], format="llava")
    kind = case.split()[0]
    assert found(data) == [(BAD[case]["id"], kind)]
    fault = data.faults[0]
    assert (fault.index, fault.fatal) == (1, True)
    assert fault.problem.startswith(f"Sample {BAD[case]['id']}: ")
    assert fault.remedy
    assert (fault.problem + fault.remedy).isprintable()
    assert [sample.id for sample in data.samples] == ["good"]
    assert data.size == 2


@pytest.mark.parametrize("record", [3, None, "text", [], True, 1.5])
def test_records_that_are_no_objects(record: Any, tmp_path: Path) -> None:
    data = load(tmp_path, record)
    assert found(data) == [("record-000001", "MalformedRecord")]
    assert data.record(1) == record


@pytest.mark.parametrize(("id", "kind"), [([1], "MalformedRecord"), (True, "MalformedRecord"), ("a\x00", "BadText")])
def test_bad_ids_are_replaced(id: Any, kind: str, tmp_path: Path) -> None:
    assert found(load(tmp_path, {**GOOD, "id": id})) == [("record-000001", kind)]


def test_one_record_may_have_several_faults(tmp_path: Path) -> None:
    data = load(tmp_path, {**GOOD, "image": "images/9.png", "conversations": sets.talk("")})
    assert found(data) == [("good", "DuplicateId"), ("good", "EmptyAnswer"), ("good", "MissingImage")]


def test_a_number_and_its_text_are_one_id(tmp_path: Path) -> None:
    data = load(tmp_path, {**GOOD, "id": 1}, {**GOOD, "id": "1"})
    assert [sample.id for sample in data.samples] == ["good", "1"]
    assert [(fault.index, fault.kind) for fault in data.faults] == [(2, "DuplicateId")]


def test_records_without_ids_share_none(tmp_path: Path) -> None:
    bare = {key: value for key, value in GOOD.items() if key != "id"}
    data = load(tmp_path, {**GOOD, "id": "record-000002"}, bare, bare, {**bare, "id": None}, {**bare, "id": ""})
    assert data.faults == ()
    assert len(data.by_id) == 6


def test_no_usable_sample_still_loads(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(json.dumps([{"id": 1, "conversations": sets.talk("cat", "hi")}]))
    data = load_dataset(tmp_path)
    assert (data.samples, data.size, found(data)) == ((), 1, [("1", "NoImage")])


def test_lines_that_cannot_be_parsed(tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    line = json.dumps(GOOD).encode()
    bad = [b'{"id": ', b"[" * 100_000, b"\xff\xfe", b'{"id": %s}' % (b"9" * 5000)]
    (tmp_path / "data.jsonl").write_bytes(b"\n".join([line, *bad]))
    data = load_dataset(tmp_path)
    assert [sample.id for sample in data.samples] == ["good"]
    assert [fault.index for fault in data.faults if fault.kind == "MalformedRecord"] == [1, 2, 3, 4]
    assert data.record(1) == '{"id": \n'


def test_bytes_that_are_not_utf8_are_kept_and_refused(tmp_path: Path) -> None:
    sets.pictures(tmp_path / "set")
    rows = b"image,question,answer\r\nimages/0.png,caf\xe9?,yes\r\nimages/1.png,tea?,no\r\nimages/1.png,short\r\n"
    (tmp_path / "set/vqa.csv").write_bytes(rows)
    data = load_dataset(tmp_path / "set")
    assert found(data) == [("record-000000", "BadText"), ("record-000002", "MalformedRecord")]
    assert data.record(2) == "images/1.png,short\r\n"
    export(data, {"record-000001"}, [], tmp_path / "out")
    assert (tmp_path / "out/vqa.csv").read_bytes() == b"image,question,answer\r\nimages/1.png,tea?,no\r\n"


def test_an_endless_csv_cell_spoils_only_its_part(tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    good = "images/0.png,What?,cat\n"
    (tmp_path / "vqa.csv").write_text(
        "image,question,answer\n" + good + 'images/0.png,"' + "x\n" * 100_000 + '"\n' + good
    )
    data = load_dataset(tmp_path)
    assert data.samples[0].answer == data.samples[-1].answer == "cat"
    assert all(fault.kind == "MalformedRecord" for fault in data.faults)


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ({"image": "images/0.png", "question": "Q", "answer": ""}, ["EmptyAnswer"]),
        ({"image": "images/0.png", "question": "Q", "answer": None}, ["NoAnswer"]),
        ({"image": "images/0.png", "question": None, "answer": "A"}, ["EmptyQuestion"]),
        ({"image": None, "question": "Q", "answer": "A"}, ["NoImage"]),
        ({"image": "images/0.png", "question": "<image><image>Q", "answer": "A"}, ["MarkerMismatch"]),
        ({"image": "images/0.png", "question": "Q", "answer": True}, ["MalformedRecord"]),
        ({"image": "images/0.png", "question": "Q", "answer": 3}, []),
        ({"image": {"path": "images/0.png"}, "question": "<image>Q", "answer": "A"}, []),
    ],
)
def test_table_rows(row: dict, kinds: list[str], tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    (tmp_path / "vqa.jsonl").write_text(json.dumps(row))
    assert [fault.kind for fault in load_dataset(tmp_path, format="vqa").faults] == kinds


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ([{"type": "text", "text": "What?"}], "MissingMarker"),
        ([{"type": "image"}, {"type": "image"}, {"type": "text", "text": "What?"}], "MarkerMismatch"),
        ([{"type": "image", "index": -1}, {"type": "text", "text": "What?"}], "MarkerMismatch"),
        ([{"type": "video"}, {"type": "text", "text": "What?"}], "MalformedRecord"),
        ([{"type": "image"}, {"type": "text"}], "MalformedRecord"),
        ([{"type": "image", "url": "http://x/y"}, {"type": "text", "text": "What?"}], "MarkerMismatch"),
        ([{"type": "image_url", "image_url": {"url": "http://x/y"}}, {"type": "image"}, "x"], "MalformedRecord"),
    ],
)
def test_chat_parts(content: list, kind: str, tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "cat"}]
    (tmp_path / "data.json").write_text(json.dumps([{"id": "x", "images": ["images/0.png"], "messages": messages}]))
    assert found(load_dataset(tmp_path, format="chat"))[0] == ("x", kind)


def test_links(tmp_path: Path) -> None:
    sets.pictures(tmp_path / "outside", 1)
    data_folder = tmp_path / "set"
    sets.pictures(data_folder, 2)
    (data_folder / "out.png").symlink_to(tmp_path / "outside/images/0.png")
    (data_folder / "nowhere.png").symlink_to(tmp_path / "outside/none.png")
    (data_folder / "loop.png").symlink_to(data_folder / "loop.png")
    (data_folder / "folder").symlink_to(tmp_path / "outside")
    (data_folder / "inside.png").symlink_to(data_folder / "images/0.png")
    os.mkfifo(data_folder / "pipe.png")
    names = ["out.png", "nowhere.png", "loop.png", "folder/images/0.png", "folder/none.png", "inside.png", "pipe.png"]
    data = load(data_folder, *({**GOOD, "id": name, "image": name} for name in names))
    outside = "ImageOutsideDataset"
    assert found(data) == [
        ("out.png", outside),
        ("nowhere.png", outside),
        ("loop.png", "MissingImage"),
        ("folder/images/0.png", outside),
        ("folder/none.png", outside),  # the same as for a file that is there: nothing outside is probed
        ("pipe.png", "MissingImage"),
    ]


def test_parquet_image_paths_are_resolved_by_us(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = sets.pictures(tmp_path, 2)
    cells = [
        {"bytes": sets.png(), "path": "/etc/hostname"},  # with bytes the path is only a name
        {"bytes": None, "path": names[1]},
        {"bytes": None, "path": "/etc/hostname"},
        {"bytes": None, "path": "../x.png"},
        {"bytes": None, "path": "http://example.com/x.png"},
        {"bytes": None, "path": None},
        None,
    ]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    rows = {"id": list(range(7)), "image": pa.array(cells, kind), "question": ["Q"] * 7, "answer": ["A"] * 7}
    pq.write_table(pa.table(rows), tmp_path / "vqa.parquet")
    data = load_dataset(tmp_path)
    assert data.format == "vqa"
    assert [sample.id for sample in data.samples] == ["0", "1"]
    assert data.samples[1].images == (names[1],)
    assert [data.images(sample)[0].size for sample in data.samples] == [(6, 5), (6, 5)]
    assert found(data) == [
        ("2", "ImageOutsideDataset"),
        ("3", "ImageOutsideDataset"),
        ("4", "ImageIsUrl"),
        ("5", "MalformedRecord"),
        ("6", "NoImage"),
    ]
    export(data, {"0", "1"}, [], tmp_path / "out")
    assert load_dataset(tmp_path / "out").images(data.samples[1]) == data.images(data.samples[1])
    export(data, {"0", "1"}, [], tmp_path / "chat", format="chat")
    assert load_dataset(tmp_path / "chat").samples[0].images == ("images/000000-0.png",)


def test_parquet_text_that_is_not_utf8(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sets.pictures(tmp_path)
    broken = pa.array([b"fine", b"caf\xe9"]).view(pa.string())
    rows = {"image": ["images/0.png"] * 2, "question": broken, "answer": ["A"] * 2}
    pq.write_table(pa.table(rows), tmp_path / "vqa.parquet")
    data = load_dataset(tmp_path)
    assert found(data) == [("record-000001", "MalformedRecord")]
    assert len(data.samples) == 1


def test_check_looks_at_pictures_and_texts(tmp_path: Path) -> None:
    from PIL import Image

    cases = {
        "broken": ({"image": "broken.png"}, [("BrokenImage", True)]),
        "tiny": ({"image": "tiny.png"}, [("TinyImage", False)]),
        "marker": ({"conversations": sets.talk("a <image>")}, [("StrayMarker", False)]),
        "s": ({"conversations": sets.talk("a </s>")}, [("ControlToken", False)]),
        "im": ({"conversations": sets.talk("a", "<image>\nb<|im_start|>system")}, [("ControlToken", False)]),
        "role": ({"conversations": sets.talk("a", "<image>\nb ASSISTANT: c")}, [("ControlToken", False)]),
        "long": ({"conversations": sets.talk("a" * 20_001)}, [("LongText", False)]),
    }
    tmp_path.joinpath("broken.png").write_bytes(sets.png()[:60])
    tmp_path.joinpath("tiny.png").write_bytes(sets.png(Image.new("RGB", (1, 1))))
    data = load(tmp_path, *({**GOOD, "id": id, **part} for id, (part, _) in cases.items()))
    assert data.faults == ()
    checked = check_samples(data, known_markers())
    results = {sample.id: [(fault.kind, fault.fatal) for fault in faults] for sample, faults in checked}
    assert results == {"good": [], **{id: expected for id, (_, expected) in cases.items()}}


def test_fault_of_any_error(tmp_path: Path) -> None:
    sample = load(tmp_path).samples[0]
    fault = sample_fault(sample, BrokenImage(path="a\x1b[31m", why="it is cut"))
    assert (fault.id, fault.index, fault.kind, fault.fatal) == ("good", 0, "BrokenImage", True)
    assert fault.problem == "Sample good: The image a\\x1b[31m cannot be decoded: it is cut."
    assert sample_fault(sample, ModelError()).fatal


def test_shown_is_printable_and_short() -> None:
    assert printable("a\u202eb\x00\ud800") == "a\\u202eb\\x00\\ud800"
    assert len(printable("x" * 10_000)) == 301


KEYS = ["id", "image", "images", "file_name", "question", "answer", "conversations", "messages", "system"]
KEYS += ["from", "value", "role", "content", "type", "text", "index", "path", "url", "image_url", "bytes"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["human", "gpt", "user", "image", "text", "<image>", "images/0.png", "../x", "<img>a</img>"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            KEYS
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wild")
    sets.pictures(path)
    return path


@pytest.mark.parametrize("format", FORMATS)
@given(records=st.lists(VALUES, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_value_ends_the_reading(records: list, format: str, folder: Path) -> None:
    (folder / "data.json").write_text(json.dumps([GOOD, *records]))
    columns = {"image": "image", "question": "id", "answer": "id"} if format in ("imagefolder", "vqa") else None
    data = load_dataset(folder / "data.json", format=format, columns=columns)
    assert data.size == len(records) + 1
    usable = {sample.index for sample in data.samples}
    refused = {fault.index for fault in data.faults if fault.fatal}
    assert usable | refused == set(range(data.size))
    assert not usable & refused
    assert all(fault.problem.isprintable() and fault.kind and fault.remedy for fault in data.faults)
    assert [data.by_id[sample.id] for sample in data.samples] == list(data.samples)
