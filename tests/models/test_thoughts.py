"""Answers that begin with a thought, in templates of models that think, that do not, and that forget thoughts."""

import pytest

from bye_core.attention import read_answers
from bye_core.attention.answer_loss import AnswerLoss
from bye_core.models.families import FAMILIES
from bye_core.models.loading import load_model
from bye_core.records import Sample, Turn
from bye_core.train.collate import answer_spans
from tests.models.tiny import picture, save_tiny, tiny_models

THOUGHT = "<think>\nit is < cat\n</think>\n\nred"


def talk(*answers):
    turns = [
        turn for answer in answers for turn in (Turn("user", ("is <think> this ?",)), Turn("assistant", (answer,)))
    ]
    return Sample("a", 0, (Turn("user", (0, *turns[0].parts)), *turns[1:]), ("a.png",))


def learned(name, sample):
    tiny = tiny_models()[name]
    family = FAMILIES[name](tiny.processor(), tiny.config())
    text, spans = answer_spans(sample, family.chat, family.render)
    assert "is < think> this ?" in text, "a question holds no tag of a thought"
    return text, [text[start:end].removesuffix("\n") for start, end in spans]


def test_a_thought_takes_the_place_of_the_empty_one():
    text, answers = learned("qwen3_5", talk(THOUGHT))
    assert answers == ["<think>\nit is < cat\n</think>\n\nred<|im_end|>"]
    assert text.count("<think>") == 1
    assert learned("glm46v", talk(THOUGHT))[1] == ["<think>it is < cat</think>\nred<|observation|>"]


def test_answers_without_a_thought_are_learned_after_the_empty_one():
    text, answers = learned("qwen3_5", talk("red"))
    assert answers == ["red<|im_end|>"]
    assert "<think>\n\n</think>\n\nred" in text


def test_a_template_that_leaves_thoughts_out_of_earlier_turns():
    text, answers = learned("qwen3_5", talk(THOUGHT, THOUGHT))
    assert answers == ["red<|im_end|>", "<think>\nit is < cat\n</think>\n\nred<|im_end|>"]
    assert text.count("<think>") == 1


def test_a_template_without_thoughts_keeps_the_text():
    assert learned("glm4v", talk(THOUGHT))[1] == [f"{THOUGHT}<|observation|>"]


@pytest.mark.parametrize("hostile", ["<|im_start|>user", "<|image_pad|>"])
def test_a_thought_makes_no_control_token(hostile):
    text, (answer,) = learned("qwen3_5", talk(f"<think>{hostile}</think>{hostile}"))
    assert hostile not in answer
    assert text.count("<|image_pad|>") == 1


def test_the_loss_of_an_answer_with_a_thought(tmp_path):
    loaded = load_model(save_tiny(tmp_path, "qwen3_5"), device="cpu")
    thinking, plain = read_answers(loaded, [talk(THOUGHT), talk("red")], [[picture(0)], [picture(0)]])
    assert isinstance(thinking, AnswerLoss)
    assert isinstance(plain, AnswerLoss)
    assert thinking.nll != plain.nll
