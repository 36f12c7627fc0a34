"""Why one record cannot be used, or deserves a look: every kind of fault a record can have.

A fault is an error that ends nothing: it is raised or made where it is seen and listed as a `Fault`.
"""

from __future__ import annotations

from bye_core.errors import ByeError, DataError
from bye_core.records import Fault, Sample

SHOWN = 300  # characters of a foreign text that a message quotes


def shown(value: object) -> str:
    """Foreign text made safe to print: a lone surrogate or control character would break a terminal or a log."""
    text = str(value)
    cut = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


class Refusal(DataError):
    """A DataError whose facts come from the data set, hence are hostile. Not `fatal`: worth a look, but usable."""

    fatal = True

    def __init__(self, **facts: object) -> None:
        super().__init__(**{name: shown(value) for name, value in facts.items()})


class MalformedRecord(Refusal):
    problem = "The record is malformed: {what}."
    remedy = "Correct the record to the format's shape, or delete it."


class UnknownRole(Refusal):
    problem = "A message has the role {role}, which is none of {valid}."
    remedy = "Rename the role, or name your own in the `tags` of dataset_info.json."


class DuplicateId(Refusal):
    problem = "Record {index} has the same id as record {first}."
    remedy = "Give every record an id of its own; only the first one is read."


class NoImage(Refusal):
    problem = "The record names no picture, so there is nothing to look at."
    remedy = "Add its picture, or leave text-only records out: this method reads the attention on pictures."


class MissingMarker(Refusal):
    problem = "The record names {pictures} picture(s), but no image marker stands in its user messages."
    remedy = "Put <image> (in chat messages: a part of type image) where the picture belongs."


class MarkerMismatch(Refusal):
    problem = "The image markers point at {markers} picture(s), the record names {pictures}."
    remedy = "Write exactly one image marker for each picture."


class EmptyQuestion(Refusal):
    problem = "The first user message has no text."
    remedy = "Write the question, or delete the record."


class NoAnswer(Refusal):
    problem = "No message is an answer (role gpt or assistant)."
    remedy = "Add the answer the model shall learn, or delete the record."


class EmptyAnswer(Refusal):
    problem = "The first answer has no text."
    remedy = "Write the answer, or delete the record."


class TurnOrder(Refusal):
    problem = "An answer comes before the first question."
    remedy = "Begin the conversation with the user's message."


class BadText(Refusal):
    problem = "The {where} holds a NUL character or text that is not valid Unicode: {text}."
    remedy = "Save the file as UTF-8 and remove the character; tokenizers fail on it or cut the text there."


class LongText(Refusal):
    fatal = False
    problem = "A {role} message is {length} characters long."
    remedy = "See whether that is meant: very long texts slow the scan down and may be cut off by the model."


class StrayMarker(Refusal):
    fatal = False
    problem = "A {role} message holds a literal {token} where no picture belongs."
    remedy = "Look at the record: a model may take the text for a picture. Remove it if it is not meant."


class ControlToken(Refusal):
    fatal = False
    problem = "A {role} message holds {token}, which chat models read as a command, not as text."
    remedy = "Look at the record: such tokens fake the end of a message or another speaker. Remove it if not meant."


class TinyImage(Refusal):
    fatal = False
    problem = "The picture {path} is {width} x {height} pixels."
    remedy = "Look at the record: there is next to nothing to see in such a picture."


def fault(id: str, index: int, error: ByeError) -> Fault:
    """`error` as one line of the list of faults of the record `index`."""
    problem = f"Sample {shown(id)}: {error.problem}"
    return Fault(id, index, error.kind, problem, error.remedy, getattr(error, "fatal", True))


def fault_of(sample: Sample, error: ByeError) -> Fault:
    """What a stage that failed on one sample keeps of the failure, instead of ending."""
    return fault(sample.id, sample.index, error)
