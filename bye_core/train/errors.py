"""Errors of a training, and the reasons why it leaves out a sample."""

from __future__ import annotations

from bye_core.errors import ModelError, RunError, SettingError


class NothingToLearnFrom(SettingError):
    problem = "The data set has no usable sample to fine-tune on."
    remedy = "Run `python -m bye_core check DATA` and correct the faults that it lists."


class TrainingDiffers(SettingError):
    problem = "{out} holds another unfinished training: {differences}."
    remedy = "Repeat its options to resume it, name another folder with --out, or delete this one."


class NotSaved(RunError):
    problem = "{path} cannot be written: {reason}."
    remedy = "Free disk space or make the folder writable, then run the same command again: {kept}."


class OutOfMemory(RunError):
    problem = "The training ran out of memory: {reason}"
    remedy = "Run the same command with a smaller --micro-batch or with --gradient-checkpointing: {kept}."


class TemplateRewritesHistory(ModelError):
    problem = "The chat template changes the prompt of answer {answer} of sample {id!r} once the answer is added."
    remedy = "Use a chat template whose text before an answer does not depend on later turns."


class NoAnswer(ModelError):
    problem = "Sample {id!r} has no answer to learn."
    remedy = "Add an answer, or remove the sample."


class TooLong(ModelError):
    problem = "Sample {id!r} has {tokens:,} tokens, images included; the model accepts {limit:,}."
    remedy = "Shorten or split it. Samples are never truncated: that could cut an image or lose the answer."
