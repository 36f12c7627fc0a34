"""Every fault that a record can have: why it cannot be used, or why a person should inspect it.

A fault does not end a stage: the error is listed as a `Fault` of its record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bye_core.errors import ByeError, DataError, printable
from bye_core.records import Fault, Sample

LONGEST_QUOTE = 300  # characters of a text from the data set that a message quotes


def as_json(value: Any) -> str:
    """Return a record's value as JSON text for a message; a text stays as it is."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=value_type)
    except (TypeError, ValueError, RecursionError):
        return value_type(value)


def value_type(value: Any) -> str:
    """Return the type of a record's value in the words of JSON, with an article: "a list", "a number"."""
    if value is None or value != value:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    types: list[tuple[Any, str]] = [
        (int | float, "a number"), (str, "text"), (list | tuple, "a list"), (Mapping, "an object"),
    ]  # fmt: skip
    return next((name for type, name in types if isinstance(value, type)), "binary data")


class Refusal(DataError):
    """A DataError whose message quotes the data set, so the quoted texts may be hostile.

    `fatal` is False if the record is usable in spite of the error.
    """

    fatal = True
    longest = LONGEST_QUOTE


class MalformedRecord(Refusal):
    problem = "The record is malformed: {what}."
    remedy = "Correct the record, or delete it."


class UnknownRole(Refusal):
    problem = "A message has the role {role}; the known roles are {valid}."
    remedy = "Rename the role, or name your own roles in the `tags` of dataset_info.json."


class DuplicateId(Refusal):
    # Messages count records from 1, as pages do; the `index` of a Fault counts from 0.
    problem = "Record {number} has the same id as record {first}; only record {first} is used."
    remedy = "Give every record its own id, or leave out --strict-ids: the records then get names of their own."


class Video(Refusal):
    problem = "The record has {media}; videos and audio are not read, only images."
    remedy = "Leave the record out of the scan, or replace the video by images of its frames."


class NoImage(Refusal):
    problem = "The record names no image, and the detection needs the attention on an image."
    remedy = "Add the image, or delete the record; text alone can be trained on, but not scanned."


class MissingMarker(Refusal):
    problem = "The record names {images} image(s), but its user messages have no image marker."
    remedy = "Write <image> where the image belongs; in chat messages, add a part of type image."


class MarkerMismatch(Refusal):
    problem = "The text has {markers}, but the record names {images} image(s)."
    remedy = "Write exactly one image marker for each image."


class ImageInAnswer(Refusal):
    problem = "A message of the role {role} holds an image; only user messages may hold images."
    remedy = "Move the image to a user message, or delete the record."


class EmptyQuestion(Refusal):
    problem = "The first user message has no text."
    remedy = "Write the question, or delete the record."


class NoAnswer(Refusal):
    problem = "The record has no answer: no message has the role gpt or assistant."
    remedy = "Add the answer that the model should learn, or delete the record."


class EmptyAnswer(Refusal):
    problem = "The first answer has no text."
    remedy = "Write the answer, or delete the record."


class RejectedAnswer(Refusal):
    problem = "The label of the record is false: its answer is one that the model should avoid."
    remedy = "Leave the record out: the detection needs the answer that the model should learn."


class TurnOrder(Refusal):
    problem = "An answer comes before the first question."
    remedy = "Begin the conversation with the user's message."


class BadText(Refusal):
    problem = "The {where} holds a NUL character or invalid Unicode: {text}."
    remedy = "Save the file as UTF-8 and remove the character, because tokenizers fail on it or cut the text there."


class HugeText(Refusal):
    problem = "A {role} message has more than {most:,} characters."
    remedy = "Shorten the message, or delete the record: no model reads so long a text."


class LongText(Refusal):
    fatal = False
    problem = "A {role} message has {length} characters."
    remedy = "Check whether this is intended: very long texts slow the scan down, and the model may cut them off."


class StrayMarker(Refusal):
    fatal = False
    problem = "A {role} message holds the image marker {token} as plain text, but no image belongs there."
    remedy = "Inspect the record and remove the marker unless it is intended: a model may read it as an image."


class ControlToken(Refusal):
    fatal = False
    problem = "A {role} message holds {token}, which chat models read as a control token."
    remedy = "Remove the token unless it is intended: it can fake a speaker or the end of a message."


class TinyImage(Refusal):
    fatal = False
    problem = "The image {path} has only {width} x {height} pixels."
    remedy = "Inspect the record: so small an image shows almost nothing."


def make_fault(id: str, index: int, *errors: ByeError) -> Fault:
    """Return the fault of record `index` that describes all its `errors`, in one problem and one remedy."""
    return named_fault(unnamed_fault(index, *errors), id)


def named_fault(fault: Fault, id: str) -> Fault:
    """Return a fault of `unnamed_fault` with the id of its sample."""
    return replace(fault, id=id, problem=f"Sample {printable(id, LONGEST_QUOTE)}: {fault.problem}")


def unnamed_fault(index: int, *errors: ByeError) -> Fault:
    """Return a fault as `make_fault` does, but with an empty id, while the ids of the samples are not known yet."""
    errors = tuple(sorted(errors, key=lambda error: not getattr(error, "fatal", True)))  # fatal errors first
    problems, remedies, kinds = (
        tuple(dict.fromkeys(getattr(error, name) for error in errors)) for name in ("problem", "remedy", "kind")
    )
    fatal = any(getattr(error, "fatal", True) for error in errors)
    return Fault("", index, kinds[0], " ".join(problems), " ".join(remedies), fatal, kinds)


def sample_fault(sample: Sample, *errors: ByeError) -> Fault:
    """Return the fault of a sample that describes its errors, so that the stage can continue."""
    return make_fault(sample.id, sample.index, *errors)
