"""Errors of a training, and the reasons why it leaves out a sample."""

from __future__ import annotations

from bye_core.errors import ModelError, RunError, SettingError


class NothingToLearnFrom(SettingError):
    problem = "The data set has no usable sample to fine-tune on."
    remedy = "Run `python -m bye_core check DATA` and correct the faults that it lists."


class TrainingDiffers(SettingError):
    problem = "{out} holds another unfinished training: {differences}."
    remedy = "Give the options of that training to resume it, set another folder with --out, or delete this folder."


class NotSaved(RunError):
    problem = "{path} cannot be written: {reason}."
    remedy = "Free disk space or make the folder writable, then run the same command again: {kept}."


class OutOfMemory(RunError):
    problem = "The training ran out of memory: {reason}"
    remedy = "Run the same command with a smaller --micro-batch or with --gradient-checkpointing: {kept}."


class TemplateRewritesHistory(ModelError):
    problem = "The chat template changes the text before answer {answer} of sample {id!r} after the answer is added."
    remedy = "Use a chat template whose text before an answer does not depend on later turns."


class NotTogether(RunError):
    problem = "The processor cannot put the samples {ids} into one batch: {reason}"
    remedy = "Run the same command with --micro-batch 1."


class NoAnswer(ModelError):
    problem = "Sample {id!r} has no answer to learn."
    remedy = "Add an answer, or remove the sample."


class TooLong(ModelError):
    problem = "Sample {id!r} has {tokens:,} tokens, images included; the model accepts at most {limit:,}."
    remedy = "Shorten or split the sample. Samples are never truncated, as this could cut an image or the answer."
