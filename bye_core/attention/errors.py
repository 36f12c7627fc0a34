"""Why attention cannot be captured, from a model at all or for one sample."""

from __future__ import annotations

from bye_core.errors import ModelError


class UnreadableAttention(ModelError):
    problem = "The model's attention cannot be captured: {reason}"
    remedy = "Use a model whose decoder layers use ordinary softmax attention."


class SampleFailed(ModelError):
    """One sample went wrong; the others did not."""

    problem = "Sample {id} could not be read: {reason}"
    remedy = "Look at its picture and text; leave it out if it cannot be mended."


class OutOfMemory(SampleFailed):
    problem = "Sample {id} alone does not fit into memory ({tokens} tokens)."
    remedy = "Free memory on the device, use a smaller number type, or leave this sample out."


class NonFiniteAttention(SampleFailed):
    problem = "The attention of sample {id} is not finite in layers {layers}."
    remedy = "Load the model with --dtype bfloat16 or float32; if it stays, the model or adapter is damaged."


class NoAnswerToRead(SampleFailed):
    problem = "The chat template lays out the answer of sample {id} apart from its question, or there is none."
    remedy = "Scan without --answers, or use a template that appends answers to what was asked."


class PromptTooLong(SampleFailed):
    problem = "The prompt of sample {id} has {tokens} tokens; the model has places for {limit}."
    remedy = "Shorten its text or leave it out."
