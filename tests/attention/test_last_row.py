"""Captured rows are the eager ones, the output is sdpa's, and the model is left as it was found."""

import copy
import threading

import numpy as np
import pytest
import torch

from bye_core.attention.capture import NAME, LastRowCapture, capped_attention, capturing_attention, last_rows
from bye_core.attention.errors import UnreadableAttention
from bye_core.model_protocol import layers_with_rows
from tests.models.tiny import picture, sample

KINDS = ["llama", "grouped", "qwen2", "mistral", "gemma2", "adapted"]


def encoded(loaded, side="left"):
    """Three samples of different lengths, one with two pictures."""
    samples = [sample("a"), sample("b", "how many dogs are there ?", images=2, system="be kind"), sample("c", "?")]
    images = [[picture(0)], [picture(1), picture(2)], [picture(3)]]
    return loaded.family.encode([loaded.family.prompt(s) for s in samples], images, padding_side=side)


def run(loaded, inputs, last=None, **options):
    rows = {}
    with torch.inference_mode(), LastRowCapture(loaded.base, rows.__setitem__, last):
        output = loaded.model(**inputs, use_cache=False, **options)
    return rows, output.logits


def run_as(loaded, implementation, inputs, **options):
    before = loaded.base.config.get_text_config()._attn_implementation
    loaded.base.set_attn_implementation({"text_config": implementation})
    with torch.inference_mode():
        output = loaded.model(**inputs, use_cache=False, **options)
    loaded.base.set_attn_implementation({"text_config": before})
    return output


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_equal_eager_ones(models, kind, side):
    loaded, inputs = models[kind], encoded(models[kind], side)
    last = inputs["attention_mask"].sum(dim=1) - 1 if side == "right" else None
    rows, _ = run(loaded, inputs, last)
    eager = run_as(loaded, "eager", inputs, output_attentions=True).attentions
    assert sorted(rows) == list(range(len(eager)))
    for layer, full in enumerate(eager):  # [B, H, Q, K]
        wanted = full[:, :, -1] if last is None else full[torch.arange(3), :, last]
        torch.testing.assert_close(rows[layer], wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_unpadded_rows_equal_eager_ones(models, kind):
    loaded = models[kind]
    inputs = loaded.family.encode([loaded.family.prompt(sample("a"))], [[picture(0)]])
    rows, _ = run(loaded, inputs)
    for layer, full in enumerate(run_as(loaded, "eager", inputs, output_attentions=True).attentions):
        torch.testing.assert_close(rows[layer], full[:, :, -1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_are_the_plain_ones(models, kind, side):
    loaded, inputs = models[kind], encoded(models[kind], side)
    plain = run_as(loaded, "eager" if kind == "gemma2" else "sdpa", inputs).logits
    real = inputs["attention_mask"].bool()
    torch.testing.assert_close(run(loaded, inputs)[1][real], plain[real], atol=2e-5, rtol=1e-5)


def test_a_batch_gives_the_rows_of_its_samples_alone(models):
    loaded = models["grouped"]
    samples, images = [sample("a"), sample("b", "how many ?", system="be kind")], [[picture(0)], [picture(1)]]
    texts = [loaded.family.prompt(s) for s in samples]
    together, _ = run(loaded, loaded.family.encode(texts, images))
    for i in range(2):
        alone, _ = run(loaded, loaded.family.encode(texts[i : i + 1], images[i : i + 1]))
        for layer, row in alone.items():
            torch.testing.assert_close(together[layer][i][:, -row.shape[-1] :], row[0], atol=1e-5, rtol=0)
            assert not together[layer][i][:, : -row.shape[-1]].any()


def test_a_sliding_window_hides_what_it_hides(models):
    rows, _ = run(models["mistral"], encoded(models["mistral"]))
    assert not rows[0][..., :-16].any()
    assert (rows[0][..., -16:].sum(dim=-1) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(loaded, dtype):
    half = copy.copy(loaded)
    object.__setattr__(half, "model", copy.deepcopy(loaded.model).to(dtype))
    inputs = encoded(loaded)
    exact, _ = run(loaded, inputs)
    rows, _ = run(half, inputs.to(dtype))
    for layer in exact:
        assert rows[layer].dtype == torch.float32
        torch.testing.assert_close(rows[layer], exact[layer], atol=0.1, rtol=0)
        assert (rows[layer].sum(dim=-1) - 1).abs().max() < 1e-5


def implementations(model):
    return [model.config._attn_implementation] + [
        getattr(model.config, name)._attn_implementation for name in model.config.sub_configs
    ]


@pytest.mark.parametrize("before", ["sdpa", "eager"])
def test_the_implementation_is_restored(loaded, before):
    loaded.base.set_attn_implementation(before)
    found = implementations(loaded.base)
    with LastRowCapture(loaded.base, lambda *_: None):
        assert implementations(loaded.base) == [before] + [
            NAME if name == "text_config" else before for name in loaded.base.config.sub_configs
        ]
    assert implementations(loaded.base) == found
    loaded.base.set_attn_implementation("sdpa")


def test_it_is_restored_after_an_error_and_works_again(loaded):
    found, inputs = implementations(loaded.base), encoded(loaded)

    def broken(*_):
        raise RuntimeError("sink")

    with pytest.raises(RuntimeError, match="sink"), LastRowCapture(loaded.base, broken):
        loaded.model(**inputs)
    assert implementations(loaded.base) == found
    assert len(run(loaded, inputs)[0]) == 3


def test_captures_nest_and_leave_others_alone(loaded):
    inputs, outer, inner = encoded(loaded), {}, {}
    with torch.inference_mode(), LastRowCapture(loaded.base, outer.__setitem__):
        with LastRowCapture(loaded.base, inner.__setitem__):
            loaded.model(**inputs)
        assert not outer
        loaded.model(**inputs)
    assert len(outer) == len(inner) == 3


def test_threads_take_turns(models):
    loaded = models["grouped"]
    texts = [f"{'how many dogs ' * n} ?" for n in range(6)]
    batches = [
        loaded.family.encode([loaded.family.prompt(sample("a", t))], [[picture(n)]]) for n, t in enumerate(texts)
    ]
    wanted = [run(loaded, inputs)[0] for inputs in batches]
    found = {}
    threads = [threading.Thread(target=lambda n=n: found.__setitem__(n, run(loaded, batches[n])[0])) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, rows in enumerate(wanted):
        for layer in rows:
            torch.testing.assert_close(found[n][layer], rows[layer])
    assert implementations(loaded.base) == ["sdpa"] * 3


def test_linear_attention_is_refused(loaded):
    config = loaded.base.config.get_text_config()
    config.layer_types = ["conv", "linear_attention", "linear_attention"]
    try:
        assert layers_with_rows(config) == ()
        with pytest.raises(UnreadableAttention, match="conv, linear_attention"), LastRowCapture(loaded.base, print):
            pass
        config.layer_types = ["full_attention", "linear_attention", "sliding_attention"]
        assert layers_with_rows(config) == (0, 2)
    finally:
        del config.layer_types
    assert len(run(loaded, encoded(loaded))[0]) == 3


def test_attention_sinks_are_refused():
    one = torch.zeros(1, 2, 3, 4)
    with pytest.raises(UnreadableAttention, match="s_aux"):
        capturing_attention(torch.nn.Identity(), one, one, one, None, s_aux=torch.zeros(2))


def test_last_rows_against_a_sum_written_out():
    """Two heads on one key head, a boolean mask that hides key 0, scaling 1/2."""
    query = torch.tensor([[[[9.0, 9.0], [2.0, 0.0]], [[9.0, 9.0], [0.0, 4.0]]]])  # [1, 2, 2, 2]
    key = torch.tensor([[[[5.0, 5.0], [1.0, 0.0], [0.0, 1.0]]]])  # [1, 1, 3, 2]
    mask = torch.tensor([[[[True, True, True], [False, True, True]]]])
    e = np.exp
    wanted = [[[0, e(1) / (e(1) + 1), 1 / (e(1) + 1)], [0, 1 / (1 + e(2)), e(2) / (1 + e(2))]]]
    found = last_rows(query, key, mask, None, scaling=0.5)
    np.testing.assert_allclose(found.numpy(), np.array(wanted), atol=1e-6)
    added = torch.where(mask, 0.0, float("-inf"))
    torch.testing.assert_close(last_rows(query, key, added, torch.tensor([1]), scaling=0.5), found)
    capped = last_rows(query, key, mask, None, scaling=0.5, softcap=1.0)
    t = np.tanh
    np.testing.assert_allclose(capped[0, 0, 1], e(t(1)) / (e(t(1)) + 1), atol=1e-6)


def test_without_a_mask_later_keys_are_hidden_where_attention_is_causal():
    query, key = torch.randn(2, 2, 4, 3), torch.randn(2, 2, 4, 3)
    last = torch.tensor([1, 3])
    causal = last_rows(query, key, None, last, scaling=1.0)
    assert not causal[0, :, 2:].any()
    assert causal[1].all()
    assert last_rows(query, key, None, last, scaling=1.0, causal=False).all()


@pytest.mark.parametrize("masked", [False, True])
def test_capped_attention_in_blocks_is_capped_attention(monkeypatch, masked):
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 4, 7, 5), torch.randn(2, 2, 7, 5), torch.randn(2, 2, 7, 5)
    visible = torch.ones(7, 7, dtype=torch.bool).tril()[None, None].expand(2, 1, -1, -1)
    scores = 3 * torch.tanh(query @ key.repeat_interleave(2, 1).transpose(2, 3) / 3)
    wanted = scores.masked_fill(~visible, -torch.inf).softmax(-1) @ value.repeat_interleave(2, 1)
    monkeypatch.setattr("bye_core.attention.capture.BLOCK", 3)
    found = capped_attention(query, key, value, visible if masked else None, 1.0, True, 3.0)
    torch.testing.assert_close(found, wanted.transpose(1, 2))


def test_a_weight_is_zero_exactly_where_a_key_is_hidden():
    """A score 300 below the highest has a weight below the smallest float32, but it is visible."""
    key = torch.tensor([0.0, 300.0, 0.0, 0.0]).reshape(1, 1, 4, 1)
    query, mask = torch.ones(1, 2, 4, 1), torch.tensor([True, True, True, False]).expand(1, 1, 4, 4)
    added = torch.zeros(1, 1, 4, 4).masked_fill(~mask, torch.finfo(torch.float32).min)
    for given in (mask, added):
        row = last_rows(query, key, given, None, scaling=1.0)
        assert (row > 0).tolist() == [[[True, True, True, False]] * 2]
        torch.testing.assert_close(row[0, 0], torch.tensor([0.0, 1.0, 0.0, 0.0]))
    last = torch.tensor([2])
    assert (last_rows(query, key, None, last, scaling=1.0) > 0).tolist() == [[[True, True, True, False]] * 2]
