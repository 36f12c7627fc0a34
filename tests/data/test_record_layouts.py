"""Records of every layout that public data sets have are read by their own keys, or refused with the true reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bye_core.data import export, load_dataset
from bye_core.data.dataset import reference_answers
from bye_core.records import Turn
from tests.data import sets
from tests.data.records import ANSWER as A
from tests.data.records import QUESTION as Q
from tests.data.records import faults_of, read, say, user_parts

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


def test_messages_as_json_text_in_a_table(tmp_path: Path) -> None:
    name = sets.pictures(tmp_path, 1)[0]
    sets.write_csv(
        tmp_path / "t.csv", [{"id": k, "image": name, "conversations": json.dumps(sets.talk(A))} for k in "ab"]
    )
    data = load_dataset(tmp_path / "t.csv")
    assert (data.format, [sample.answer for sample in data.samples]) == ("llava", [A, A])
    (tmp_path / "t.csv").write_text(f"id,image,messages\n1,{name},[{{\n")
    assert load_dataset(tmp_path / "t.csv", "chat").samples == ()


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
    assert user_parts(data) == [(0, "Describe the image.")]
    assert f"under the key {key}" in data.notes[0]
    assert "--question" in data.notes[0]
    data = load_dataset(tmp_path / "data.jsonl", question="What do you see?")
    assert "with the question: What do you see?" in data.notes[0]
    assert user_parts(data) == [(0, "What do you see?")]


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
    assert user_parts(data) == [(0, "What is it?")]


def test_a_question_that_is_not_used_is_noted(tmp_path: Path) -> None:
    data = read(tmp_path, {"image": "images/0.png", "question": Q, "answer": A}, question="Why?")
    assert data.samples[0].question == Q
    assert "--question is not used" in data.notes[0]


# --- Alpaca, ms-swift, TRL ----------------------------------------------------------------------------------------


def test_alpaca(tmp_path: Path) -> None:
    record = {"instruction": f"<image>{Q}", "input": "In one word.", "output": A, "images": ["images/0.png"]}
    earlier = {**record, "history": [["Hi", "Hello"], ["And?", "Yes"]], "system": "Be brief."}
    data = read(tmp_path, record, earlier, {**record, "output": ["cat", "a cat"]})
    assert data.format == "alpaca"
    assert user_parts(data)[0] == (0, f"{Q}\nIn one word.")
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
    assert user_parts(data) == [(0, Q), (0, Q), ("Hi",), (0, Q)]


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
