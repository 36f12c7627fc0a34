"""Why a training cannot begin, go on or be saved, and why one sample is left out of it."""

from __future__ import annotations

from bye_core.errors import ModelError, RunError, SettingError


class NothingToLearnFrom(SettingError):
    problem = "The data set has no ready sample to fine-tune on."
    remedy = "Run `python -m bye_core check DATA` and mend the faults that it lists."


class TrainingDiffers(SettingError):
    problem = "{out} holds a training that has not ended yet, and not the same one: {differences}."
    remedy = "Give what was given then to go on with it, name another folder with --out, or delete this one."


class NotSaved(RunError):
    problem = "{path} cannot be written: {reason}."
    remedy = "Free disk space or make the folder writable, then give the same command again: {kept}."


class OutOfMemory(RunError):
    problem = "Memory ran out in the middle of the training: {reason}"
    remedy = "Give the same command with a smaller --micro-batch or with --gradient-checkpointing: {kept}."


class TemplateRewritesHistory(ModelError):
    problem = (
        "The chat template renders the prompt of answer {answer} of sample {id!r} differently once it is answered."
    )
    remedy = "Use a chat template whose text up to an answer does not depend on what follows it."


class NoAnswer(ModelError):
    problem = "Sample {id!r} has no answer to learn."
    remedy = "Add one, or remove the sample."


class TooLong(ModelError):
    problem = "Sample {id!r} has {tokens:,} tokens, pictures included; the model takes {limit:,}."
    remedy = "Shorten or split it. It is never cut off: that could cut through a picture or lose the answer."
