"""What the first answer token looks at: one row a head from a fast forward pass, and the statistics made of it."""

from bye_core.attention.answer_loss import AnswerLoss, read_answers
from bye_core.attention.capture import LastRowCapture
from bye_core.attention.read import read_attention

__all__ = ["AnswerLoss", "LastRowCapture", "read_answers", "read_attention"]
