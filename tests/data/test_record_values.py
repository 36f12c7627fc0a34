"""Messages, markers, embedded images and answers are read in every spelling, or refused with the true reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bye_core import pipeline
from bye_core.attacks import FixedAnswer, make_trigger
from bye_core.attacks.attack import Attack
from bye_core.data import export, load_dataset
from bye_core.data.dataset import reference_answers
from tests.data import sets
from tests.data.records import ANSWER as A
from tests.data.records import QUESTION as Q
from tests.data.records import faults_of, png64, read, say, user_parts

# --- messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"from": "gpt", "text": "cat"}, "message 2 (gpt) has no key value with its text; its keys are from, text"),
        ({"role": "assistant", "reply": "cat"}, "message 2 (assistant) has no key content"),
        ({"from": "gpt", "value": ["a", "b"]}, "the value of message 2 (gpt) is a list"),
        ({"from": "gpt", "value": True}, "the value of message 2 (gpt) is true or false, not text"),
        ({"value": "cat"}, "message 2 has no key from or role"),
        ("cat", "message 2 is text, not an object"),
        (None, "message 2 is null, not an object"),
        ({"from": "tool", "value": "x"}, "has the role tool"),
        ({"from": None, "role": ["x"]}, 'has the role ["x"]'),
    ],
)
def test_a_bad_message_is_named(message: Any, words: str, tmp_path: Path) -> None:
    talk = [{"from": "human", "value": f"<image>{Q}"}, message]
    data = read(tmp_path, {"id": "x", "image": "images/0.png", "conversations": talk})
    assert len(data.faults) == 1
    assert words in data.faults[0].problem


def test_numbers_and_other_spellings_of_messages(tmp_path: Path) -> None:
    talk = [{"from": "Human", "content": f"<image>{Q}"}, {"role": "ASSISTANT", "value": 3}]
    data = read(tmp_path, {"id": 0, "image": ["images/0.png"], "conversations": talk})
    assert data.samples[0].answer == "3"
    assert data.parsed_record(data.samples[0]).id == 0


@pytest.mark.parametrize("marker", ["<image{}>", "<image_{}>", "<Image {}>", "<|image_{}|>"])
def test_numbered_markers(marker: str, tmp_path: Path) -> None:
    text = f"a {marker.format(1)} b {marker.format(2)} c"
    one, two = "images/0.png", "images/1.png"
    data = read(
        tmp_path,
        {"id": "read", "image": [one, two], "conversations": sets.talk(A, text)},
        {"id": "mismatch", "image": one, "conversations": sets.talk(A, text)},
        {"id": "no image", "conversations": sets.talk(A, text)},
    )
    assert user_parts(data) == [("a", 0, "b", 1, "c")]
    assert faults_of(data) == [("mismatch", "MarkerMismatch"), ("no image", "NoImage")]
    assert data.text_only == ()


def test_qwen_tags_with_blanks_and_repeated_images(tmp_path: Path) -> None:
    one, two = "images/0.png", "images/1.png"
    talk = sets.talk(A, f"Picture 1: <img> {one} </img>\nPicture 2: <img>{two}</img>\nSame?")
    talk += sets.talk("yes", f"And Picture 3: <img>{one}</img>?")
    source = read(tmp_path / "set", {"conversations": talk}, {"conversations": sets.talk(A, "Hello")})
    assert source.samples[0].images == (one, two)
    assert user_parts(source) == [("Picture 1:", 0, "Picture 2:", 1, "Same?"), ("And Picture 3:", 0, "?")]
    assert (len(source.samples), len(source.text_only), len(source.faults), source.size) == (1, 1, 1, 2)


def test_a_poisoned_set_passes_its_own_check(tmp_path: Path) -> None:
    one = "images/0.png"
    talk = sets.talk(A, f"<img>{one}</img> and <img>{one}</img>{Q}")
    read(tmp_path / "set", {"conversations": talk}, {"image": one, "conversations": sets.talk(A)})
    attack = Attack((make_trigger("patch"),), FixedAnswer("x"))
    for _ in pipeline.poison(tmp_path / "set/data.jsonl", tmp_path / "out", attack, 0.5):
        pass
    *_, last = pipeline.check(tmp_path / "out")
    assert (last.facts["summary"]["ready"], last.facts["summary"]["refused"]) == (2, 0)


# --- embedded images ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "base64": png64()},
        {"type": "image", "image": f"data:image/png;base64,{png64()}"},
        {"type": "image", "image": png64()},
        {"type": "image", "image": {"bytes": png64(), "path": None}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png64()}", "detail": "low"}},
        {"type": "image_url", "image_url": f"DATA:image/png;charset=x;base64,{png64()}"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{png64()}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png64()}},
        {"type": "image", "data": png64().rstrip("=")},
        {"image": "\n".join(png64()[k : k + 76] for k in range(0, len(png64()), 76))},
    ],
)
@pytest.mark.parametrize("text", [{"type": "text", "text": Q}, {"type": "input_text", "text": Q}, {"text": Q}, Q])
def test_embedded_parts(part: dict, text: Any, tmp_path: Path) -> None:
    data = read(tmp_path, {"messages": say([part, text])})
    assert user_parts(data) == [(0, Q)]
    assert data.samples[0].images == ("embedded:000000/0",)
    assert data.images(data.samples[0])[0] == sets.picture(0, (40, 30))


@pytest.mark.parametrize("value", [png64(), f"data:image/png;base64,{png64()}", {"bytes": png64()}, [png64()]])
def test_embedded_cells(value: Any, tmp_path: Path) -> None:
    data = read(tmp_path, {"image": value, "conversations": sets.talk(A)}, {"image": value, "question": Q, "answer": A})
    assert [data.images(sample)[0].size for sample in data.samples] == [(40, 30)] * 2
    export(data, [data.samples[1].id], [], tmp_path / "out")
    assert load_dataset(tmp_path / "out").images(load_dataset(tmp_path / "out").samples[0])[0].size == (40, 30)
    export(data, [data.samples[0].id], [], tmp_path / "new", "sharegpt")
    assert load_dataset(tmp_path / "new").images(load_dataset(tmp_path / "new").samples[0])[0].size == (40, 30)


@pytest.mark.parametrize("value", ["data:image/png;base64,A", "data:image/png;base64," + "Zm9v*" * 80, "data:,"])
def test_damaged_base64_is_no_address_and_is_not_quoted(value: str, tmp_path: Path) -> None:
    data = read(
        tmp_path, {"image": value, "conversations": sets.talk(A)}, {"image": png64() + "*", "conversations": []}
    )
    assert data.faults[0].kind == "BrokenImage"
    assert "Zm9v" not in data.faults[0].problem
    assert png64()[:40] not in data.faults[1].problem


def test_lists_of_paths_in_a_table(tmp_path: Path) -> None:
    sets.pictures(tmp_path, 2)
    cells = ['["images/0.png", "images/1.png"]', "['images/0.png', 'images/1.png']"]
    rows = [{"image": cell, "question": Q, "answer": "nan"} for cell in cells]
    sets.write_csv(tmp_path / "t.csv", rows)
    data = load_dataset(tmp_path / "t.csv")
    assert [sample.images for sample in data.samples] == [("images/0.png", "images/1.png")] * 2
    assert data.samples[0].answer == "nan"  # a cell of a text file is text


# --- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"answer": "cat"}, ("cat",)),
        ({"answer": ["cat", "a cat"]}, ("cat", "a cat")),
        ({"answer": {"text": "cat"}}, ("cat",)),
        ({"answer": {"text": ["cat", "a cat"], "answer_start": [1, 2]}}, ("cat", "a cat")),
        ({"answers": [{"answer": "cat", "answer_id": 1}, {"answer": "a cat"}]}, ("cat", "a cat")),
        ({"answers": ["cat", "a cat", "cat"]}, ("cat", "a cat")),
        ({"multiple_choice_answer": "cat", "answers": [{"answer": "dog"}]}, ("cat", "dog")),
        ({"answer": [None, "", "cat"]}, ("cat",)),
        ({"answer": 3}, ("3",)),
        ({"answer": 0, "choices": ["cat", "dog"]}, ("cat",)),
        ({"answer": 1.0, "choices": ["cat", "dog"]}, ("dog",)),
        ({"answer": "cat", "choices": ["cat", "dog"]}, ("cat",)),
        ({"answer": 1, "choices": []}, ("1",)),
    ],
)
def test_answers(fields: dict, answers: tuple, tmp_path: Path) -> None:
    data = read(tmp_path, {"image": "images/0.png", "question": Q, **fields})
    assert data.faults == ()
    assert data.samples[0].answer == answers[0]
    assert reference_answers(data, data.samples) == {"record-000000": answers}


@pytest.mark.parametrize("empty", [None, "", " ", [], [None], float("nan"), {"text": None}, [""]])
@pytest.mark.parametrize(
    "record",
    [
        {"question": Q, "answer": ...},
        {"question": Q, "answer": ..., "choices": ["a", "b"]},
        {"query": Q, "response": ...},
        {"instruction": f"<image>{Q}", "output": ...},
        {"prompt": Q, "completion": ...},
        {"caption": ..., "id": 3},
    ],
)
def test_an_empty_answer_is_never_a_text(record: dict, empty: Any, tmp_path: Path) -> None:
    filled = {key: empty if value is ... else value for key, value in record.items()}
    if isinstance(empty, dict | list) and "prompt" in record:
        return  # a list is one of messages there
    data = read(tmp_path, {"images": ["images/0.png"], **filled})
    assert [fault.kinds for fault in data.faults] == [("EmptyAnswer",)]


def test_missing_answers(tmp_path: Path) -> None:
    talk = [{"from": "human", "value": f"<image>{Q}"}]
    nan = {"from": "gpt", "value": float("nan")}
    records = [
        {"image": "images/0.png", "question": Q},
        {"image": "images/0.png", "conversations": [*talk, nan]},
        {"image": "images/0.png", "conversations": [*talk, {"from": "gpt", "value": None}]},
        {"image": "images/0.png", "conversations": talk},
    ]
    data = read(tmp_path, *records)
    assert [fault.kind for fault in data.faults] == ["EmptyAnswer", "EmptyAnswer", "EmptyAnswer", "NoAnswer"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"answer": True}, "its answer is true or false, not text"),
        ({"answer": 5, "choices": ["a", "b"]}, "its answer is the number 5, but it has 2 choices"),
        ({"answer": {"x": 1}}, "its answer is an object, not text"),
        ({"answer": "x", "question": ["What?"]}, "its question is a list, not text"),
        ({"answer": "x", "image": 42}, "an image is a number, not a path or image data"),
        ({"answer": "x", "image": [None]}, "an image is null"),
        ({"answer": "x", "id": {}, "image": {"a": 1}}, "an image is an object"),
    ],
)
def test_values_of_another_type_are_named_in_plain_words(fields: dict, words: str, tmp_path: Path) -> None:
    data = read(tmp_path, {"image": "images/0.png", "question": Q, **fields})
    assert words in data.faults[0].problem


def test_only_user_messages_hold_images(tmp_path: Path) -> None:
    answer = [{"type": "image", "image": "images/0.png"}, {"text": A}]
    data = read(tmp_path, {"id": "x", "messages": say(Q, answer)})
    assert faults_of(data) == [("x", "ImageInAnswer")]
