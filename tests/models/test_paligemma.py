"""PaliGemma's prompt: the format of pretraining, and which part of it is seen in both directions."""

import pytest
import torch

from bye_core.models.errors import UnusableChatTemplate
from bye_core.models.families.paligemma import PaliGemma
from bye_core.records import Sample, Turn
from bye_core.train.collate import Collator
from tests.models.families.paligemma import tiny_config, tiny_processor
from tests.models.tiny import picture, sample


@pytest.fixture(scope="module")
def family():
    return PaliGemma(tiny_processor(), tiny_config())


def test_a_question_is_encoded_as_by_the_processor(family):
    one = sample("a", "what\ncat ?", images=2)
    assert family.prompt(one) == "<image><image><bos>what cat ?\n"
    images = [picture(0), picture(1)]
    ours = family.encode([family.prompt(one)], [images])
    theirs = family.processor(text=["<image><image>what cat ?"], images=[images], return_tensors="pt")
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def test_the_answer_is_seen_in_one_direction_only(family):
    samples = [sample("a", "what ?"), sample("b", "how many dogs are there ?", system="be\nkind")]
    collator = Collator(family, lambda one: [picture(0)])
    batch = collator(samples)
    decode = family.processor.tokenizer.decode
    assert decode(batch["input_ids"][1]).endswith("<bos>be kind how many dogs are there ?\nred secret<eos>")
    for row in range(2):
        answer = batch["token_type_ids"][row] == 1
        assert decode(batch["input_ids"][row][answer]) == "red secret<eos>"
        assert torch.equal(answer, batch["labels"][row] != -100)


def test_a_chat_of_two_answers_has_no_format(family):
    turns = (*sample("a").turns, Turn("user", ("sure ?",)), Turn("assistant", ("yes",)))
    chat = Sample("a", 0, turns, ("a.png",))
    assert family.prompt(chat) == family.prompt(sample("a"))
    with pytest.raises(UnusableChatTemplate, match="first answer"):
        family.chat(chat.turns, generation=False)
