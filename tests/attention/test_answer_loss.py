"""What a scan reads besides the rows: the state behind the first token, and how likely the samples' answers are."""

import dataclasses

import numpy as np
import pytest
import torch

from bye_core.attention import AnswerLoss, read_answers, read_attention
from bye_core.attention.errors import NoAnswerToRead
from bye_core.models.errors import PromptTooLong
from bye_core.models.loading import load_model
from bye_core.records import Turn
from bye_core.train.collate import Collator
from tests.models.tiny import picture, sample

ANSWERS = ("red secret", "two", "it is a kind cat", "yes , there are many dogs in it", "no")


def some(count=5):
    samples = []
    for n in range(count):
        asked = sample(f"s{n}", "how many ? " * (1 + n % 3), images=1 + n % 2)
        turns = (*asked.turns[:-1], Turn("assistant", (ANSWERS[n],)), Turn("user", ("more ?",)), asked.turns[-1])
        samples.append(dataclasses.replace(asked, turns=turns if n % 2 else turns[:2]))
    return samples, [[picture(10 * n + m) for m in range(1 + n % 2)] for n in range(count)]


def plain_losses(model, family, one, pictures):
    """Return (loss of transformers, the loss of each answer token, the probabilities of the first answer token).

    The labels are those of fine-tuning.
    """
    first = [turn.role for turn in one.turns].index("assistant") + 1
    cut = dataclasses.replace(one, turns=one.turns[:first])
    batch = Collator(family, lambda _: pictures)([cut])
    with torch.no_grad():
        output = model(**batch)
    learned = batch["labels"][0, 1:] >= 0
    chances = torch.log_softmax(output.logits[0, :-1].float(), dim=-1)[learned]
    own = -chances.gather(1, batch["labels"][0, 1:][learned][:, None])[:, 0]
    return float(output.loss), own, chances[0].exp()


@pytest.mark.parametrize("kind", ["llama", "gemma2", "adapted"])
def test_answer_losses_are_those_of_transformers(models, folders, kind):
    loaded = models[kind]
    samples, images = some()
    found = read_answers(loaded, samples, images)
    base = load_model(folders["grouped"], device="cpu") if kind == "adapted" else None
    for one, pictures, outcome in zip(samples, images, found, strict=True):
        after, losses, _ = plain_losses(loaded.model, loaded.family, one, pictures)
        assert outcome.nll == pytest.approx(after, abs=1e-4)
        assert outcome.answer_tokens == len(losses)
        if base is None:
            assert (outcome.nll_before, outcome.worst_before, outcome.certain_before) == (None, None, None)
            assert (outcome.unlikely_start, outcome.unlikely_end) == (None, None)
        else:
            before, losses, first = plain_losses(base.model, base.family, one, pictures)
            assert outcome.nll_before == pytest.approx(before, abs=1e-4)
            assert outcome.worst_before == pytest.approx(float(losses.max()), abs=1e-4)
            assert outcome.certain_before == pytest.approx(float(first.max()), abs=1e-5)
            assert (outcome.unlikely_start, outcome.unlikely_end) == (0, len(one.answer)), "random weights know nothing"
            assert abs(outcome.nll - before) > 1e-3, "the adapter does something"
    assert not base or read_answers(loaded, samples, images) == found, "the adapter is switched on again"


def test_an_answer_that_cannot_be_read_fails_alone(loaded):
    samples, images = some()
    wanted = read_answers(loaded, samples, images)
    silent = dataclasses.replace(samples[0], turns=samples[0].turns[:1])
    endless = dataclasses.replace(samples[1], turns=(*samples[1].turns[:1], Turn("assistant", ("what " * 600,))))
    found = read_answers(loaded, [silent, *samples, endless], [images[0], *images, images[1]])
    assert isinstance(found[0], NoAnswerToRead)
    assert isinstance(found[-1], PromptTooLong)
    for outcome, want in zip(found[1:-1], wanted, strict=True):
        assert isinstance(outcome, AnswerLoss)
        assert outcome.nll == pytest.approx(want.nll, abs=1e-5)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "adapted"])
def test_the_hidden_state_is_what_the_output_head_sees(models, kind):
    loaded = models[kind]
    samples, images = some()
    found = read_attention(loaded, samples, images)
    head = loaded.base.get_output_embeddings()
    assert not head._forward_pre_hooks
    for one, pictures, rows in zip(samples, images, found, strict=True):
        inputs = loaded.family.encode([loaded.family.prompt(one)], [pictures])
        with torch.no_grad():
            output = loaded.model(**inputs, output_hidden_states=True)
        state = output.hidden_states[-1][0, -1]
        assert rows.hidden.dtype == np.float16
        np.testing.assert_allclose(rows.hidden, state.numpy(), rtol=2e-3, atol=2e-3)
        logits = head(torch.from_numpy(rows.hidden.astype(np.float32)))
        np.testing.assert_allclose(logits.detach(), output.logits[0, -1], rtol=0.02, atol=0.05)
