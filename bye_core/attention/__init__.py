"""Reads what the first answer token attends to: one attention row per head, captured in a fast forward pass."""

from bye_core.attention.answer_loss import AnswerLoss, read_answers
from bye_core.attention.capture import LastRowCapture
from bye_core.attention.heads import read_heads
from bye_core.attention.read import read_attention
from bye_core.attention.with_answers import Reading, read_with_answers

__all__ = [
    "AnswerLoss",
    "LastRowCapture",
    "Reading",
    "read_answers",
    "read_attention",
    "read_heads",
    "read_with_answers",
]
