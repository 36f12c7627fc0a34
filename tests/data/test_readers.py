"""Records of every layout that public data sets have are read by their own keys, or refused with the true reason."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bye_core import pipeline
from bye_core.attacks import FixedAnswer, make_trigger
from bye_core.attacks.attack import Attack
from bye_core.data import FORMATS, export, load_dataset
from bye_core.data.dataset import DataSet, reference_answers
from bye_core.data.formats.base import CannotConvert
from bye_core.errors import ByeError
from bye_core.records import Turn
from tests.data import sets
from tests.data.records import GOOD, faults_of

Q, A = "What is it?", "cat"


def read(folder: Path, *records: Any, **options: Any) -> DataSet:
    sets.pictures(folder, 3)
    (folder / "data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return load_dataset(folder / "data.jsonl", **options)


def say(question: Any = f"<image>\n{Q}", answer: Any = A) -> list[dict]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def parts(data: DataSet) -> list[tuple]:
    return [turn.parts for sample in data.samples for turn in sample.turns if turn.role == "user"]


def png64(seed: int = 0) -> str:
    return base64.b64encode(sets.png(sets.picture(seed, (40, 30)))).decode()


# --- one file, several layouts ------------------------------------------------------------------------------------


def test_every_record_is_read_by_its_own_keys(tmp_path: Path) -> None:
    one, two, three = sets.pictures(tmp_path, 3)
    records = [
        {"id": 0, "image": one, "conversations": sets.talk(A)},
        {"id": 1, "images": [one, two], "conversations": sets.talk(A, f"<image><image>{Q}")},
        {"id": 2, "image": [two], "conversations": sets.talk(A)},
        {"id": 3, "images": [three], "messages": say()},
        {"id": 4, "messages": say([{"type": "image", "image": three}, {"type": "text", "text": Q}])},
        {"id": 5, "image": one, "question": Q, "answer": A},
        {"id": 6, "images": [one], "query": f"<image>{Q}", "response": A},
        {"id": 7, "images": [one], "instruction": f"<image>{Q}", "output": A},
        {"id": 8, "image": one, "prompt": Q, "completion": A},
        {"id": 9, "file_name": one, "conversations": sets.talk(A)},
        {"id": 10, "file_name": one, "messages": say()},
        {"id": 11, "video": "v.mp4", "conversations": sets.talk(A, f"<video>\n{Q}")},
        {"id": 12, "conversations": sets.talk(A, Q)},
    ]
    data = read(tmp_path, *records)
    assert [sample.id for sample in data.samples] == [str(k) for k in range(11)]
    assert all(sample.answer == A and sample.question.startswith("What is it") for sample in data.samples)
    assert [sample.images for sample in data.samples[:5]] == [(one,), (one, two), (two,), (three,), (three,)]
    assert faults_of(data) == [("11", "Video"), ("12", "NoImage")]
    assert [sample.id for sample in data.text_only] == ["12"]
    kept = [data.samples[k].id for k in (0, 1, 4, 5, 10)]
    export(data, kept, [], tmp_path / "out")
    again = load_dataset(tmp_path / "out")
    assert [(sample.id, sample.turns) for sample in again.samples] == [(id, data.by_id[id].turns) for id in kept]


@pytest.mark.parametrize(
    "media",
    [
        {"video": "v.mp4", "conversations": sets.talk(A, "<video>What?")},
        {"video": ["v.mp4"], "image": "images/0.png", "conversations": sets.talk(A)},
        {"videos": ["v.mp4"], "messages": say("<video>What?")},
        {"audio": {"path": "a.wav"}, "messages": say()},
        {"image": "images/0.png", "conversations": sets.talk(A, "<image><video>What?")},
        {"messages": say([{"type": "video", "video": "v.mp4"}, {"type": "text", "text": Q}])},
        {"messages": say([{"type": "video_url", "video_url": {"url": "v.mp4"}}, {"type": "text", "text": Q}])},
        {"messages": say([{"type": "input_audio", "input_audio": {"data": ""}}, {"type": "text", "text": Q}])},
        {"messages": say([{"video": "v.mp4"}, {"text": Q}])},
        {"query": "<video>What?", "response": "B", "videos": ["v.mp4"]},
    ],
)
def test_a_video_record_has_one_fault(media: dict, tmp_path: Path) -> None:
    data = read(tmp_path, {"id": "v", **media})
    assert faults_of(data) == [("v", "Video")]
    assert "videos and audio are not read" in data.faults[0].problem
    assert data.text_only == ()


@pytest.mark.parametrize("empty", [None, "", []])
def test_an_empty_video_key_is_no_video(empty: Any, tmp_path: Path) -> None:
    data = read(tmp_path, {"image": "images/0.png", "video": empty, "images": empty, "conversations": sets.talk(A)})
    assert len(data.samples) == 1


def test_the_keys_image_and_images_must_agree(tmp_path: Path) -> None:
    one, two = "images/0.png", "images/1.png"
    both = [{"image": one, "images": [one]}, {"image": one, "images": [one, two]}, {"image": one, "images": [two]}]
    markers = ["<image>", "<image><image>", "<image>"]
    data = read(tmp_path, *({**k, "conversations": sets.talk(A, m + Q)} for k, m in zip(both, markers, strict=True)))
    assert [sample.images for sample in data.samples] == [(one,), (one, two)]
    assert "name different images" in data.faults[0].problem


@pytest.mark.parametrize("key", ["system", "system_prompt"])
def test_system_prompts(key: str, tmp_path: Path) -> None:
    one = "images/0.png"
    records = [
        {"image": one, "conversations": sets.talk(A), key: "Be brief."},
        {"images": [one], "messages": say(), key: "Be brief."},
        {"images": [one], "messages": [{"role": "system", "content": "Be brief."}, *say()], key: "Not this."},
        {"images": [one], "messages": [{"role": "developer", "content": "Be brief."}, *say()]},
        {"images": [one], "instruction": f"<image>{Q}", "output": A, key: "Be brief."},
        {"images": [one], "query": Q, "response": A, key: "Be brief."},
        {"images": [one], "prompt": Q, "completion": A, key: "Be brief."},
    ]
    data = read(tmp_path, *records)
    assert [sample.turns[0] for sample in data.samples] == [Turn("system", ("Be brief.",))] * len(records)
    assert all(len(sample.turns) == 3 for sample in data.samples)


# --- ids ----------------------------------------------------------------------------------------------------------


def test_records_that_share_an_id_get_names(tmp_path: Path) -> None:
    records = [{"id": id, "image": "images/0.png", "conversations": sets.talk(A)} for id in ("a", "a", "a#2", "a", 2)]
    records += [{**records[0], "id": "2"}]
    data = read(tmp_path, *records)
    assert data.faults == ()
    assert [sample.id for sample in data.samples] == ["a", "a#3", "a#2", "a#4", "2", "2#2"]
    assert "3 records repeat the id" in data.notes[0]
    export(data, ["a#3", "2", "2#2"], [], tmp_path / "out")
    again = load_dataset(tmp_path / "out")
    assert [again.record(k)["id"] for k in range(3)] == ["a", 2, "2"]
    strict = load_dataset(tmp_path / "data.jsonl", strict_ids=True)
    assert [sample.id for sample in strict.samples] == ["a", "a#2", "2"]
    assert faults_of(strict) == [("a", "DuplicateId"), ("a", "DuplicateId"), ("2", "DuplicateId")]


# --- captions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["text", "caption", "txt"])
@pytest.mark.parametrize("image", ["image", "file_name"])
def test_captions_have_a_default_question(key: str, image: str, tmp_path: Path) -> None:
    data = read(tmp_path, {image: "images/0.png", key: "A drawing."})
    assert (data.format, data.samples[0].answer) == ("captions", "A drawing.")
    assert parts(data) == [(0, "Describe the image.")]
    assert f"under the key {key}" in data.notes[0]
    assert "--question" in data.notes[0]
    data = load_dataset(tmp_path / "data.jsonl", question="What do you see?")
    assert parts(data) == [(0, "What do you see?")]


@pytest.mark.parametrize("captions", [["One.", "Two."], [{"raw": "One."}, {"raw": "Two."}]])
@pytest.mark.parametrize("key", ["captions", "caption", "sentences"])
def test_lists_of_captions(captions: list, key: str, tmp_path: Path) -> None:
    data = read(tmp_path, {"image": "images/0.png", key: captions})
    assert data.samples[0].answer == "One."
    assert reference_answers(data, data.samples) == {data.samples[0].id: ("One.", "Two.")}


@pytest.mark.parametrize(
    "other", [{"question_id": 3}, {"label": "yes"}, {"prompt": "Why?"}, {"instruction": "Do."}, {"answer": "yes"}]
)
def test_a_text_beside_another_text_is_no_caption(other: dict, tmp_path: Path) -> None:
    record = {"image": "images/0.png", "text": "Is there a cat?", **other}
    try:
        data = read(tmp_path, record)
    except Exception as error:  # noqa: BLE001 - the type is checked below
        assert type(error).__name__ in ("UnknownFormat", "MissingColumn")  # noqa: PT017
        assert "--columns" in str(error)  # noqa: PT017
    else:
        assert data.samples == ()
    key = next(iter(other))
    named = load_dataset(tmp_path / "data.jsonl", "vqa", {"question": "text", "answer": key})
    assert named.samples[0].question == "Is there a cat?"


def test_the_question_can_be_given_for_tables_without_one(tmp_path: Path) -> None:
    data = read(tmp_path, {"image": "images/0.png", "answer": "cat"}, question="What is it?", format="vqa")
    assert parts(data) == [(0, "What is it?")]


# --- Alpaca, ms-swift, TRL ----------------------------------------------------------------------------------------


def test_alpaca(tmp_path: Path) -> None:
    record = {"instruction": f"<image>{Q}", "input": "In one word.", "output": A, "images": ["images/0.png"]}
    earlier = {**record, "history": [["Hi", "Hello"], ["And?", "Yes"]], "system": "Be brief."}
    data = read(tmp_path, record, earlier, {**record, "output": ["cat", "a cat"]})
    assert data.format == "alpaca"
    assert parts(data)[0] == (0, f"{Q}\nIn one word.")
    assert [turn.text for turn in data.samples[1].turns] == [
        "Be brief.", "Hi", "Hello", "And?", "Yes", f"{Q}\nIn one word.", A,
    ]  # fmt: skip
    assert reference_answers(data, data.samples[2:]) == {"record-000002": ("cat", "a cat")}


def test_swift_and_its_image_tags(tmp_path: Path) -> None:
    image = "images/0.png"
    data = read(
        tmp_path,
        {"query": f"<image>{Q}", "response": A, "images": [image]},
        {"query": Q, "response": A, "images": [{"bytes": None, "path": image}], "history": []},
        {"query": f"<img> {image} </img>{Q}", "response": A, "history": [["Hi", "Hello"]]},
    )
    assert (data.format, data.faults) == ("swift", ())
    assert [sample.images for sample in data.samples] == [(image,)] * 3
    assert parts(data) == [(0, Q), (0, Q), ("Hi",), (0, Q)]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": Q, "completion": A},
        {"prompt": say(Q)[:1], "completion": say(Q)[1:]},
        {"prompt": say([{"type": "image"}, {"type": "text", "text": Q}])[:1], "completion": say(Q)[1:]},
        {"prompt": say(Q)[:1], "chosen": say(Q)[1:], "rejected": say(Q, "no")[1:]},
        {"prompt": Q, "chosen": A, "rejected": "no"},
        {"question": Q, "chosen": A, "rejected": "no"},
        {"chosen": say(Q), "rejected": say(Q, "no")},
        {"messages": say(Q)[:1], "chosen": {"role": "assistant", "content": A}, "rejected": {"content": "no"}},
        {"prompt": Q, "completion": A, "label": True},
    ],
)
def test_prompt_and_completion(record: dict, tmp_path: Path) -> None:
    data = read(tmp_path, {"images": ["images/0.png"], **record})
    assert data.faults == ()
    assert data.samples[0].turns == (Turn("user", (0, Q)), Turn("assistant", (A,)))
    assert any("rejected" in note for note in data.notes) == ("rejected" in record)


def test_an_answer_to_avoid_is_refused(tmp_path: Path) -> None:
    data = read(tmp_path, {"image": "images/0.png", "prompt": Q, "completion": A, "label": False})
    assert [fault.kind for fault in data.faults] == ["RejectedAnswer"]


@pytest.mark.parametrize("format", ["alpaca", "swift", "prompt-completion", "chat", "sharegpt"])
def test_conversion_of_long_conversations(format: str, tmp_path: Path) -> None:
    turns = [*say(f"<image>{Q}\nand\n<image>"), {"role": "user", "content": "Sure?"}, say("", "Yes.")[1]]
    record = {"id": 7, "images": ["images/0.png", "images/1.png"], "system": "Be brief.", "messages": turns}
    source = read(tmp_path / "set", record)
    export(source, ["7"], [], tmp_path / "out", format)
    (tmp_path / "out/dataset_info.json").unlink(missing_ok=True)
    again = load_dataset(tmp_path / "out", format)
    assert (again.format, again.faults) == (format, ())
    assert again.samples[0].turns == source.samples[0].turns
    assert again.record(0)["id"] == 7


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
    assert parts(data) == [("a", 0, "b", 1, "c")]
    assert faults_of(data) == [("mismatch", "MarkerMismatch"), ("no image", "NoImage")]
    assert data.text_only == ()


def test_qwen_tags_with_blanks_and_repeated_images(tmp_path: Path) -> None:
    one, two = "images/0.png", "images/1.png"
    talk = sets.talk(A, f"Picture 1: <img> {one} </img>\nPicture 2: <img>{two}</img>\nSame?")
    talk += sets.talk("yes", f"And Picture 3: <img>{one}</img>?")
    source = read(tmp_path / "set", {"conversations": talk}, {"conversations": sets.talk(A, "Hello")})
    assert source.samples[0].images == (one, two)
    assert parts(source) == [("Picture 1:", 0, "Picture 2:", 1, "Same?"), ("And Picture 3:", 0, "?")]
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
    assert parts(data) == [(0, Q)]
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
    data = read(tmp_path, {"id": "x", "messages": say(Q, [{"type": "image", "image": "images/0.png"}, {"text": A}])})
    assert faults_of(data) == [("x", "ImageInAnswer")]


# --- any record ---------------------------------------------------------------------------------------------------

KEYS = [
    "id", "image", "images", "file_name", "question", "answer", "answers", "choices", "conversations", "messages",
    "system", "from", "value", "role", "content", "type", "text", "url", "path", "image_url", "bytes", "base64", "source",
    "data", "video", "query", "response", "history", "instruction", "output", "prompt", "completion", "chosen",
    "rejected", "label", "caption", "captions",
]  # fmt: skip
ATOMS = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 3.5, float("nan"), float("inf"), 10**30, "", " ", "x", "human", "gpt", "user",
        "assistant", "text", "image", "image_url", "video", "<image>", "<image>\nWhat?", "<video>", "<image1> <image2>",
        "<image99>", "images/0.png", "../x", "https://x/y", "<img> images/0.png </img>", "data:,", "\x00", "\ud800",
        '["images/0.png"]', "['a']", "[[[", "nan", png64(), f"data:image/png;base64,{png64()}", f"{png64()}*",
    ]
)  # fmt: skip
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
LAYOUTS = st.sampled_from(
    [
        {"id": 1, "image": "images/0.png", "conversations": sets.talk(A)},
        {"id": "1", "images": ["images/0.png"], "messages": say()},
        {"messages": say([{"type": "image", "image": png64()}, {"type": "text", "text": Q}])},
        {"image": "images/0.png", "question": Q, "answer": A},
        {"file_name": "images/0.png", "caption": A},
        {"query": f"<image>{Q}", "response": A, "images": ["images/0.png"], "history": [["a", "b"]]},
        {"instruction": f"<image>{Q}", "output": A, "images": ["images/0.png"]},
        {"prompt": say(Q)[:1], "chosen": say(Q)[1:], "rejected": "no", "images": ["images/0.png"]},
        {"conversations": sets.talk(A, Q)},
        {},
    ]
)
CHANGES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=2)
RECORDS = st.builds(lambda record, changes: {**record, **changes}, LAYOUTS, CHANGES)


@given(records=st.lists(RECORDS | VALUES, min_size=1, max_size=6), strict=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mix_of_records_is_read_or_refused(records: list, strict: bool, tmp_path: Path) -> None:
    try:
        data = read(tmp_path, {**GOOD, "id": 0}, *records, strict_ids=strict)
    except ByeError as error:
        assert str(error).isprintable()
        return
    assert len(data.samples) + len(data.faults) == data.size == len(records) + 1
    assert {sample.index for sample in data.samples} | {fault.index for fault in data.faults} == set(range(data.size))
    assert len(data.by_id) == len(data.samples)
    assert {sample.id for sample in data.text_only} <= {fault.id for fault in data.faults}
    for fault in data.faults:
        words = fault.problem + fault.remedy
        assert words.isprintable()
        assert not any(odd in words for odd in ("NoneType", "<class", " object at 0x", "None", png64()[:40]))
    for sample in data.samples:
        assert data.parsed_record(sample).turns == sample.turns
        for form in FORMATS.values():
            with suppress(CannotConvert):
                json.dumps(form.write(sample.id, sample.turns, sample.images))
