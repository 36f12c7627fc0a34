"""Errors of detector settings and of entropy files."""

from __future__ import annotations

from bye_core.errors import DataError, RunError, SettingError


class UnknownDetector(SettingError):
    problem = "There is no detector {method!r}."
    remedy = "Choose one of: {choices}."


class UnknownSetting(SettingError):
    problem = "The detector {method!r} has no setting {name!r}."
    remedy = "Choose one of: {choices}."


class BadSetting(SettingError):
    problem = "The setting {name} cannot be {value!r}."
    remedy = "Give {choices}."


class MissingInputs(RunError):
    problem = "The detector {method!r} needs data that this scan did not store: {what}."
    remedy = "{advice}"


class BadScoreLine(DataError):
    problem = "Line {line} of {path} holds no valid layer entropies: {reason}."
    remedy = (
        'Write it as {{"question_id": id, "answer": text, "entropy": {{"0": nats, "1": nats, ...}}}}, or remove it.'
    )


class NoScores(DataError):
    problem = "{path} holds no layer entropies: {reason}."
    remedy = "Give a file with one JSON object per line, as the BYE authors' scan writes it."
