"""Every fault of a record is reported for the right sample, and no other record is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bye_core.data import FORMATS, check_samples, load_dataset, sample_fault
from bye_core.data.faults import MalformedRecord
from bye_core.data.images import BrokenImage
from bye_core.errors import ModelError
from bye_core.pipeline.check import known_markers
from tests.data import sets
from tests.data.records import GOOD, faults_of, load

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
    "ImageOutsideDataset 2": {**GOOD, "id": "x", "image": "images/../../images/0.png"},
    "ImageOutsideDataset 3": {**GOOD, "id": "x", "image": "C:\\Windows\\win.ini"},
    "ImageOutsideDataset 4": {**GOOD, "id": "x", "image": "images\\..\\..\\x.png"},
    "ImageOutsideDataset 5": {**GOOD, "id": "x", "image": "//host/share/x.png"},
    "ImageIsUrl": {**GOOD, "id": "x", "image": "https://example.com/x.png"},
    "ImageIsUrl 2": {**GOOD, "id": "x", "image": "ftp://example.com/x.png"},
    "ImageOutsideDataset 6": {**GOOD, "id": "x", "image": "FILE:///etc/hostname"},
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
    data = load(tmp_path, BAD[case], format="llava", strict_ids=True)
    kind = case.split()[0]
    assert faults_of(data) == [(BAD[case]["id"], kind)]
    fault = data.faults[0]
    assert (fault.index, fault.fatal) == (1, True)
    assert fault.problem.startswith(f"Sample {BAD[case]['id']}: ")
    assert fault.remedy
    assert (fault.problem + fault.remedy).isprintable()
    assert [sample.id for sample in data.samples] == ["good"]
    assert data.size == 2


@pytest.mark.parametrize("record", [3, None, "text", [], True, 1.5])
def test_records_that_are_not_objects(record: Any, tmp_path: Path) -> None:
    data = load(tmp_path, record)
    assert faults_of(data) == [("record-000001", "MalformedRecord")]
    assert data.record(1) == record


@pytest.mark.parametrize(("id", "kind"), [([1], "MalformedRecord"), (True, "MalformedRecord"), ("a\x00", "BadText")])
def test_bad_ids_are_replaced(id: Any, kind: str, tmp_path: Path) -> None:
    assert faults_of(load(tmp_path, {**GOOD, "id": id})) == [("record-000001", kind)]


def test_one_record_may_have_several_faults(tmp_path: Path) -> None:
    data = load(tmp_path, {**GOOD, "image": "images/9.png", "conversations": sets.talk("")}, strict_ids=True)
    assert faults_of(data) == [("good", "DuplicateId"), ("good", "EmptyAnswer"), ("good", "MissingImage")]
    assert len(data.faults) == 1
    for words in ("same id as record 1", "no text", "not in the data set's folder"):
        assert words in data.faults[0].problem
    assert "Write the answer" in data.faults[0].remedy


def test_a_number_and_its_text_are_one_id(tmp_path: Path) -> None:
    data = load(tmp_path, {**GOOD, "id": 1}, {**GOOD, "id": "1"}, strict_ids=True)
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
    assert (data.samples, data.size, faults_of(data)) == ((), 1, [("1", "NoImage")])


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ({"image": "images/0.png", "question": "Q", "answer": ""}, ["EmptyAnswer"]),
        ({"image": "images/0.png", "question": "Q", "answer": None}, ["EmptyAnswer"]),
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
        ([{"type": "video"}, {"type": "text", "text": "What?"}], "Video"),
        ([{"type": "image"}, {"type": "text"}], "MalformedRecord"),
        ([{"type": "image", "url": "http://x/y"}, {"type": "text", "text": "What?"}], "MarkerMismatch"),
        ([{"type": "image_url", "image_url": {"url": "http://x/y"}}, {"type": "image"}, 3], "MalformedRecord"),
    ],
)
def test_chat_parts(content: list, kind: str, tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "cat"}]
    (tmp_path / "data.json").write_text(json.dumps([{"id": "x", "images": ["images/0.png"], "messages": messages}]))
    assert faults_of(load_dataset(tmp_path, format="chat"))[0] == ("x", kind)


def test_check_of_images_and_texts(tmp_path: Path) -> None:
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
    results = {sample.id: [(fault.kind, fault.fatal)] if fault else [] for sample, fault in checked}
    assert results == {"good": [], **{id: expected for id, (_, expected) in cases.items()}}


def test_any_error_can_become_a_fault(tmp_path: Path) -> None:
    sample = load(tmp_path).samples[0]
    fault = sample_fault(sample, BrokenImage(path="a\x1b[31m", why="it is cut"))
    assert (fault.id, fault.index, fault.kind, fault.fatal) == ("good", 0, "BrokenImage", True)
    assert fault.problem == "Sample good: The image a\\x1b[31m cannot be decoded: it is cut."
    assert sample_fault(sample, ModelError()).fatal


def test_quoted_texts_are_printable_and_short() -> None:
    assert MalformedRecord(what="a\u202eb\x00\ud800").problem == "The record is malformed: a\\u202eb\\x00\\ud800."
    assert len(MalformedRecord(what="x" * 10_000).problem) < 350


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
def test_any_json_value_can_be_read(records: list, format: str, folder: Path) -> None:
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
