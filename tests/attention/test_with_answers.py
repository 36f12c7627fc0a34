"""read_with_answers: one pass over question and answer gives what two separate passes give; faults stay apart."""

import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bye_core.attention import read_answers, read_attention, read_with_answers, with_answers
from bye_core.attention.answer_head import AnswerHead, _is_plain
from bye_core.attention.errors import NoAnswerToRead, NonFiniteAttention
from bye_core.attention.tower_cache import TowerCache
from bye_core.model_protocol import Prompt
from bye_core.models.errors import NoImageTokens, PromptTooLong
from bye_core.records import Turn
from tests.attention.test_answer_loss import some
from tests.attention.test_read import assert_same, limited
from tests.models.tiny import sample

LOSSES = ("nll", "answer_tokens", "nll_before", "worst_before", "certain_before", "unlikely_start", "unlikely_end")


def check(loaded, samples, images, readings):
    """Compare readings with the rows and losses of separate passes."""
    losses = read_answers(loaded, samples, images)
    for reading, rows, loss in zip(readings, read_attention(loaded, samples, images), losses, strict=True):
        assert reading.unread is None
        assert_same(reading.rows, rows)
        for name in LOSSES:
            assert getattr(reading.rows, name) == pytest.approx(getattr(loss, name), abs=1e-5)
        np.testing.assert_allclose(reading.rows.hidden, rows.hidden, rtol=2e-3, atol=2e-3)


@pytest.fixture
def passes(models, monkeypatch):
    """The number of forward passes of "adapted"."""
    counted = []
    plain = models["adapted"].base.forward
    monkeypatch.setattr(models["adapted"].base, "forward", lambda *a, **k: counted.append(1) or plain(*a, **k))
    return counted


def test_two_passes_with_an_adapter(models, passes):
    loaded = models["adapted"]
    samples, images = some()
    readings = read_with_answers(loaded, samples, images)
    assert len(passes) == 2
    check(loaded, samples, images, readings)
    with loaded.before_fine_tuning() as model:
        before = read_attention(model, samples, images)
    for reading, rows in zip(readings, before, strict=True):
        for name in with_answers.BEFORE:
            np.testing.assert_allclose(getattr(reading.rows, f"{name}_before"), getattr(rows, name), atol=1e-5)
    assert any(np.abs(one.rows.mass - one.rows.mass_before).max() > 1e-3 for one in readings)


def test_the_first_pass_of_a_process_gives_the_bytes_of_a_later_one(models):
    """A scan that resumes stores the same bytes as an uninterrupted one."""
    loaded = models["adapted"]
    samples, images = some()
    _is_plain.pop(loaded.base.get_output_embeddings(), None)
    first, later = (read_with_answers(loaded, samples, images) for _ in range(2))
    for one, other in zip(first, later, strict=True):
        for name, value in vars(one.rows).items():
            np.testing.assert_array_equal(np.asarray(value), np.asarray(getattr(other.rows, name)), err_msg=name)


@pytest.mark.parametrize("kind", ["gemma2", "mistral"])
def test_one_pass_without_an_adapter(models, kind):
    samples, images = some()
    readings = read_with_answers(models[kind], samples, images)
    check(models[kind], samples, images, readings)
    assert readings[0].rows.mass_before is None


def test_an_answer_that_cannot_be_read_leaves_the_rows(loaded):
    samples, images = some()
    silent = dataclasses.replace(samples[0], id="silent", turns=samples[0].turns[:1])
    turns = (*samples[1].turns[:1], Turn("assistant", ("what " * 600,)))
    endless = dataclasses.replace(samples[1], id="endless", turns=turns)
    bare = sample("bare", images=0)
    readings = read_with_answers(
        loaded, [silent, *samples, endless, bare], [images[0], *images, images[1], []]
    )  # fmt: skip
    assert isinstance(readings[0].unread, NoAnswerToRead)
    assert isinstance(readings[-2].unread, PromptTooLong)
    assert isinstance(readings[-1], NoImageTokens)
    check(loaded, samples, images, readings[1:-2])
    for reading, rows in zip((readings[0], readings[-2]), read_attention(loaded, samples[:2], images[:2]), strict=True):
        assert reading.rows.nll is None
        np.testing.assert_allclose(reading.rows.mass, rows.mass, atol=1e-5)


@pytest.mark.parametrize(("text", "together"), [("Q:", True), ("Q: ", False)])
def test_a_token_over_the_end_of_the_question_is_not_cut(text, together):
    """The tokens of question and answer together must begin with those of the question."""

    def tokenizer(text, **options):  # a blank and the letter behind it are one token
        pieces = list(re.finditer(" ?.", text))
        return {"input_ids": [ord(p[0][-1]) for p in pieces], "offset_mapping": [p.span() for p in pieces]}

    family = SimpleNamespace(
        answer_keeps_rows=True,
        processor=SimpleNamespace(tokenizer=tokenizer),
        adds_special_tokens=lambda text: False,
        question=lambda _: Prompt(text, (), ()),
        through_answer=lambda _: Prompt(f"{text}red", (), ()),
    )
    answer = with_answers._answer_tokens(family, sample("a"))
    assert answer == (with_answers.AnswerTokens([*map(ord, "red")], [True] * 3) if together else None)


def test_a_sample_that_is_read_apart_keeps_its_place(models, monkeypatch):
    loaded = models["adapted"]
    samples, images = some()
    plain = with_answers._answer_tokens
    monkeypatch.setattr(
        with_answers, "_answer_tokens", lambda family, one: None if one.id in ("s1", "s4") else plain(family, one)
    )
    readings = read_with_answers(loaded, samples, images)
    check(loaded, samples, images, readings)
    assert all(reading.rows.mass_before is not None for reading in readings)


def test_longer_sequences_that_fail_are_read_apart(models, monkeypatch):
    """A pass over question and answer that does not fit into memory costs the answer, not the rows."""
    loaded = models["llama"]
    samples, images = some(2)
    wanted = read_attention(loaded, samples, images)
    plain = loaded.model.forward

    def forward(*args, **inputs):
        if inputs["logits_to_keep"] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(*args, **inputs)

    monkeypatch.setattr(loaded.model, "forward", forward)
    for reading, rows in zip(read_with_answers(loaded, samples, images), wanted, strict=True):
        assert "not fit" in str(reading.unread) or "memory" in str(reading.unread)
        assert_same(reading.rows, rows)


def test_out_of_memory_halves_the_batch(loaded, monkeypatch):
    samples, images = some()
    sizes = limited(loaded, monkeypatch, MemoryError(), most=2)
    readings = read_with_answers(loaded, samples, images)
    assert sizes == [5, 3, 2, 1, 2]
    check(loaded, samples, images, readings)


def test_rows_that_are_not_finite(folders):
    from bye_core.models.loading import load_model

    broken = load_model(folders["llama"], device="cpu")
    broken.base.lm_head.weight.data[0, 0] = float("nan")
    samples, images = some(2)
    assert [type(one) for one in read_with_answers(broken, samples, images)] == [NonFiniteAttention] * 2


@pytest.mark.parametrize("cap", [None, 5.0])
def test_the_head_in_parts_and_logits_that_the_model_caps(cap):
    """The losses are those of the model's own logits, whether the head alone gives them or not."""
    torch.manual_seed(0)
    head = torch.nn.Linear(8, 50)
    states, tokens = torch.randn(3, 5, 8), torch.randint(0, 50, (3, 4))
    learned = np.array([[1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], bool)

    class Model(torch.nn.Module):
        def get_output_embeddings(self):
            return head

        def forward(self, states):
            logits = head(states)
            return logits if cap is None else cap * torch.tanh(logits / cap)

    model = Model()
    own = -torch.log_softmax(model(states), dim=-1)[:, :-1].gather(2, tokens[..., None])[..., 0]
    with torch.inference_mode():
        for again in (False, True):
            with AnswerHead(model, learned) as selection:
                logits = model(states)
            assert logits.shape[1] == (3 if again and cap is None else 3 + 5 + 1)
            torch.testing.assert_close(logits[0, :3], model(states[:, 0]))
            found = selection.losses(logits, tokens)
            assert _is_plain[head] == (cap is None)
            assert found.tokens.tolist() == [4, 1, 0]
            np.testing.assert_allclose(found.nll[:2], [own[0].mean().item(), own[1, 1].item()], rtol=1e-5)
            np.testing.assert_allclose(found.worst[:2], [own[0].max().item(), own[1, 1].item()], rtol=1e-5)
            first = [model(states).softmax(-1)[row, place].max().item() for row, place in ((0, 0), (1, 1))]
            np.testing.assert_allclose(found.certain[:2], first, rtol=1e-5)
            assert np.isnan([values[2] for values in (found.nll, found.worst, found.certain)]).all()


def test_the_tower_runs_once_unless_an_adapter_changes_it(models):
    loaded = models["adapted"]
    tower = loaded.base.get_submodule(loaded.family.tower_name)
    calls = []
    hook = tower.register_forward_hook(lambda *_: calls.append(1))
    inner = tower.get_submodule("encoder").register_forward_hook(lambda *_: calls.append(2))
    samples, images = some(2)
    read_with_answers(loaded, samples, images)
    assert calls.count(2) == 1
    assert "forward" not in vars(tower)
    tower.register_parameter("lora_A", torch.nn.Parameter(torch.zeros(1)))
    read_with_answers(loaded, samples, images)
    del tower._parameters["lora_A"]
    assert calls.count(2) == 3
    hook.remove()
    inner.remove()
    with TowerCache(loaded.base, ""):
        pass
