"""Labels token by token: answers and the tokens that end them, nothing else."""

import pytest
from PIL import Image

from bye_core.models.loading import load_model
from bye_core.records import Sample, Turn
from bye_core.train.collate import Collator, TemplateRewritesHistory, answer_spans
from bye_core.train.errors import NotTogether
from tests.models.tiny import picture, save_tiny


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_model(save_tiny(tmp_path_factory.mktemp("model")), device="cpu")


def talk(*texts, id="a"):
    turns = [Turn("user", (0, texts[0])), Turn("assistant", (texts[1],))]
    for question, answer in zip(texts[2::2], texts[3::2], strict=True):
        turns += [Turn("user", (question,)), Turn("assistant", (answer,))]
    return Sample(id, 0, tuple(turns), ("a.png",))


def learned(loaded, batch, row):
    """The labelled tokens, one text for each unbroken stretch."""
    texts, before = [], False
    for label in batch["labels"][row].tolist():
        if label == -100:
            before = False
            continue
        texts += [] if before else [[]]
        texts[-1].append(label)
        before = True
    return [loaded.processor.tokenizer.decode(ids) for ids in texts]


def test_only_answers_and_their_ends_are_learned(loaded):
    samples = [talk("how many dogs ?", "two"), talk("what colour ?", "it is red", "and you ?", "a cat", id="b")]
    batch = Collator(loaded.family, lambda sample: [picture(1)])(samples)
    assert learned(loaded, batch, 0) == [" two </s>"]
    assert learned(loaded, batch, 1) == [" it is red </s>", " a cat </s>"]
    assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()


def test_pictures_go_in_the_order_of_the_prompt(loaded):
    turns = (Turn("user", (1, 0, "which ?")), Turn("assistant", ("red",)))
    sample = Sample("a", 0, turns, ("black.png", "white.png"))
    black, white = Image.new("RGB", (20, 20)), Image.new("RGB", (20, 20), (255, 255, 255))
    pixels = Collator(loaded.family, lambda sample: [black, white])([sample])["pixel_values"]
    assert pixels[0].min() > pixels[1].max()


def test_a_processor_that_takes_one_sample_a_time_is_named_with_what_helps(loaded, monkeypatch):
    encode = loaded.family.encode

    def one_a_time(texts, *rest, **more):
        if len(texts) > 1:
            raise ValueError("stack expects each tensor to be equal size\nYou can try padding")
        return encode(texts, *rest, **more)

    monkeypatch.setattr(loaded.family, "encode", one_a_time)
    collator = Collator(loaded.family, lambda sample: [picture(1)])
    samples = [talk("q", "one"), talk("q", "two", id="b")]
    with pytest.raises(NotTogether, match="'a', 'b' into one batch: stack expects each tensor to be equal size"):
        collator(samples)
    assert learned(loaded, collator(samples[:1]), 0) == [" one </s>"]


def test_a_template_that_changes_what_was_said_is_refused():
    def chat(turns, generation):
        return f"{len(turns)} turns: " + " ".join(turn.text for turn in turns)

    with pytest.raises(TemplateRewritesHistory, match="sample 'a'"):
        answer_spans(talk("q", "one"), chat)
