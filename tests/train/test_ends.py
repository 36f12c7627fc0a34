"""Answers end with a token, also if the chat template on the hub writes none."""

import pytest

from bye_core.attention.answer_loss import encode_answers
from bye_core.models.loading import load_model
from bye_core.train.collate import Collator
from tests.models.families import llava
from tests.models.spelling import learned_texts
from tests.models.tiny import TALK, picture, sample, save_tiny

# As on the hub: a space after each answer, no end token.
ENDLESS = llava.TEMPLATE.replace("{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}", "")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = save_tiny(tmp_path_factory.mktemp("model"), num_hidden_layers=1)
    assert ENDLESS != llava.TEMPLATE
    (folder / "chat_template.jinja").write_text(ENDLESS)
    return load_model(folder, device="cpu")


def test_the_end_token_is_learned_after_every_answer(loaded):
    batch = Collator(loaded.family, lambda one: [picture(4)])([TALK, sample("a", "?", system="be kind")])
    tokenizer = loaded.processor.tokenizer
    assert learned_texts(tokenizer, batch["labels"][0]) == ["it is red</s>", "how many dogs</s>"]
    assert learned_texts(tokenizer, batch["labels"][1]) == ["red secret</s>"]


def test_questions_hold_no_end_token_and_losses_count_it(loaded):
    one = sample("a")
    assert loaded.processor.tokenizer.eos_token not in loaded.family.prompt(one)
    batch = encode_answers(loaded, [one], [[picture(1)]])
    read = loaded.processor.tokenizer.decode(batch.inputs["input_ids"][0][batch.learned[0]])
    assert read.strip() == "red secret</s>"
