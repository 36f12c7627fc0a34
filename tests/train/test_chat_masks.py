"""What is learned of whole chats, token by token: default and empty system texts, thoughts, several turns."""

import pytest

from bye_core.models.loading import load_model
from bye_core.records import Sample, Turn
from bye_core.train.collate import Collator
from tests.models.tiny import TALK, picture, save_tiny

QUESTION = "<|im_start|>user\n<|vision_start|>(9)<|vision_end|>what colour is the cat ?<|im_end|>\n"
FIRST = "<|im_start|>assistant\n[it is red<|im_end|>\n]"
SECOND = "<|im_start|>user\nit is red<|im_end|>\n<|im_start|>assistant\n@[how many dogs<|im_end|>\n]"
THOUGHT = "<think>\n\n</think>\n\n"


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    names = ("qwen2_5_vl", "qwen3_5")
    return {name: load_model(save_tiny(tmp_path_factory.mktemp(name), name), device="cpu") for name in names}


def with_system(text):
    return Sample("talk", 0, (Turn("system", (text,)), *TALK.turns), TALK.images)


def marked(loaded, sample):
    """Return the text of a sample's tokens with learned ones in brackets, and the number of image tokens in parens."""
    batch, parts = Collator(loaded.family, lambda one: [picture(4)])([sample]), []
    for token, label in zip(batch["input_ids"][0].tolist(), batch["labels"][0].tolist(), strict=True):
        kind = "I" if token == loaded.family.image_token_id else label != -100
        if not parts or parts[-1][0] != kind:
            parts.append((kind, []))
        parts[-1][1].append(token)
    decode = loaded.processor.tokenizer.decode
    forms = {"I": lambda ids: f"({len(ids)})", True: lambda ids: f"[{decode(ids)}]", False: decode}
    return "".join(forms[kind](ids) for kind, ids in parts)


@pytest.mark.parametrize(
    ("sample", "system"),
    [
        (TALK, "<|im_start|>system\nyou are a helper<|im_end|>\n"),
        (with_system(""), "<|im_start|>system\n<|im_end|>\n"),
        (with_system("be kind"), "<|im_start|>system\nbe kind<|im_end|>\n"),
    ],
    ids=["default", "empty", "own"],
)
def test_system_texts(families, sample, system):
    assert marked(families["qwen2_5_vl"], sample) == system + QUESTION + FIRST + SECOND.replace("@", "")


def test_thoughts_that_the_template_adds_are_not_learned(families):
    """It adds one before the last answer only."""
    assert marked(families["qwen3_5"], TALK) == QUESTION + FIRST + SECOND.replace("@", THOUGHT)
    single = Sample("one", 0, TALK.turns[:2], TALK.images)
    assert marked(families["qwen3_5"], single) == QUESTION + FIRST.replace("[", f"{THOUGHT}[")


def test_an_answer_of_several_parts_and_a_conversation_that_ends_with_a_question(families):
    turns = (TALK.turns[0], Turn("assistant", ("it is", " red")), TALK.turns[2])
    text = marked(families["qwen2_5_vl"], Sample("parts", 0, turns, TALK.images))
    assert text.endswith(QUESTION + FIRST + "<|im_start|>user\nit is red<|im_end|>\n")
