"""Errors of reading attention, from a model or from one sample."""

from __future__ import annotations

from bye_core.errors import ModelError, SampleFailed


class UnreadableAttention(ModelError):
    problem = "The model's attention cannot be captured: {reason}"
    remedy = "Use a model whose decoder layers use ordinary softmax attention."


class NonFiniteAttention(SampleFailed):
    problem = "The attention of sample {id} is not finite in layers {layers}."
    remedy = "Load the model with --dtype bfloat16 or float32; if this persists, the model or adapter is damaged."


class NoAnswerToRead(SampleFailed):
    problem = "Sample {id} has no answer, or the chat template puts text between question and answer."
    remedy = "Scan without --answers, or use a chat template that puts the answer directly after the question."
