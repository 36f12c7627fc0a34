"""read_attention: rows in order, and every fault confined to its own sample."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from bye_core.attention import read as reading
from bye_core.attention import read_attention
from bye_core.attention.errors import NonFiniteAttention, UnreadableAttention
from bye_core.errors import SampleFailed
from bye_core.models.errors import ElongatedPicture, ImageCount, NoImageTokens, NoQuestion, OutOfMemory, PromptTooLong
from bye_core.records import AttentionRows, Sample, Turn
from tests.attention.definitions import row_statistics
from tests.models.tiny import picture, sample

QUESTIONS = ["what ?", "how many dogs are there ?", "what colour is the cat ?", "is it red ?", "?"]
ARRAYS = ("entropy", "peak", "mass", "layer_entropy", "layer_entropy_reference", "rows")


def some(count=5):
    samples = [sample(f"s{n}", QUESTIONS[n], images=1 + n % 2, system="be kind" * (n % 3)) for n in range(count)]
    return samples, [[picture(10 * n + m) for m in range(1 + n % 2)] for n in range(count)]


def assert_same(found, wanted, atol=1e-5):
    assert (found.id, found.token, found.token_text) == (wanted.id, wanted.token, wanted.token_text)
    assert found.grids == wanted.grids
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=max(atol, 1e-3 * (name == "rows")))


@pytest.mark.parametrize("kind", ["llama", "grouped", "qwen2", "gemma2", "adapted"])
def test_statistics_are_those_of_eager_attention(models, kind):
    loaded = models[kind]
    samples, images = some()
    outcomes = read_attention(loaded, samples, images)
    before = loaded.base.config.get_text_config()._attn_implementation
    loaded.base.set_attn_implementation({"text_config": "eager"})
    for one, pictures, found in zip(samples, images, outcomes, strict=True):
        inputs = loaded.family.encode([loaded.family.prompt(one)], [pictures])
        groups, grids = loaded.family.token_groups(inputs, 0, one, pictures)
        with torch.no_grad():
            output = loaded.model(**inputs, output_attentions=True)
        attention = np.stack([layer[0, :, -1].numpy() for layer in output.attentions])
        for name, values in row_statistics(attention, groups).items():
            np.testing.assert_allclose(getattr(found, name), values, atol=1e-3 if name == "rows" else 1e-5)
        chances = output.logits[0, -1].softmax(-1)
        assert found.token == int(chances.argmax())
        assert found.probability == pytest.approx(float(chances.max()), abs=1e-5)
        assert found.token_text == loaded.processor.tokenizer.decode([found.token])
        assert found.grids == grids
        assert sum(g.rows * g.columns for g in grids) == found.rows.shape[1]
    loaded.base.set_attn_implementation({"text_config": before})


def test_no_samples(loaded):
    assert read_attention(loaded, [], []) == []


# The window of 16 tokens cuts off the 25 image tokens, all of them or a part.
@pytest.mark.parametrize("question", ["how many dogs are there ? " * 6, "?"])
def test_a_window_that_cuts_off_the_picture_is_not_a_fault(models, question):
    long = sample("a", question)
    (rows,) = read_attention(models["mistral"], [long], [[picture(0)]])
    assert isinstance(rows, AttentionRows)
    assert np.isnan(rows.layer_entropy).all()
    assert np.isnan(rows.rows).all()
    assert np.isnan(rows.mass).all()


FAULTY = [
    (sample("bad", images=2), [picture(0)], SampleFailed),
    (sample("bad", images=1), [Image.new("RGB", (1, 200_000))], ElongatedPicture),
    (sample("bad", images=0), [], NoImageTokens),
    (Sample("bad", 0, (Turn("assistant", ("red",)),), ()), [], NoQuestion),
    (sample("bad", "what " * 600), [picture(0)], PromptTooLong),
]


@pytest.mark.parametrize(("bad", "pictures", "error"), FAULTY)
def test_a_sample_that_cannot_be_encoded_fails_alone(loaded, bad, pictures, error):
    samples, images = some(3)
    wanted = read_attention(loaded, samples, images)
    outcomes = read_attention(loaded, [samples[0], bad, *samples[1:]], [images[0], pictures, *images[1:]])
    assert isinstance(outcomes[1], error)
    for found, want in zip([outcomes[0], *outcomes[2:]], wanted, strict=True):
        assert_same(found, want)


def test_two_bad_samples_and_one_alone(loaded):
    samples, images = some(2)
    bad = sample("bad", images=0)
    outcomes = read_attention(loaded, [bad, samples[0], bad], [[], images[0], []])
    assert [type(o) for o in outcomes] == [NoImageTokens, AttentionRows, NoImageTokens]
    assert isinstance(read_attention(loaded, [bad], [[]])[0], NoImageTokens)


MESSAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    MemoryError(),
]


def limited(loaded, monkeypatch, error, most):
    """`loaded` with a forward pass that fails above `most` samples; the sizes tried are recorded."""
    sizes = []
    plain = loaded.model.forward

    def forward(*args, **inputs):
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > most:
            raise error
        return plain(*args, **inputs)

    monkeypatch.setattr(loaded.model, "forward", forward)
    return sizes


@pytest.mark.parametrize("error", MESSAGES, ids=lambda e: str(e)[:30] or type(e).__name__)
def test_out_of_memory_halves_the_batch(loaded, monkeypatch, error):
    samples, images = some()
    wanted = read_attention(loaded, samples, images)
    sizes = limited(loaded, monkeypatch, error, most=2)
    outcomes = read_attention(loaded, samples, images)
    for found, want in zip(outcomes, wanted, strict=True):
        assert_same(found, want)
    assert sizes == [5, 3, 2, 1, 2]
    assert loaded.base.config.text_config._attn_implementation == "sdpa"


def test_out_of_memory_at_size_one_fails_that_sample(loaded, monkeypatch):
    samples, images = some(2)
    limited(loaded, monkeypatch, MESSAGES[0], most=0)
    outcomes = read_attention(loaded, samples, images)
    assert [type(o) for o in outcomes] == [OutOfMemory] * 2
    assert [o.facts["id"] for o in outcomes] == ["s0", "s1"]


def test_another_failure_is_traced_to_its_sample(loaded, monkeypatch):
    samples, images = some(3)
    plain = loaded.model.forward
    marked = loaded.family.encode([loaded.family.prompt(samples[1])], [images[1]])["pixel_values"][0]

    def forward(*args, **inputs):
        if any(torch.equal(pixels, marked) for pixels in inputs["pixel_values"]):
            raise RuntimeError("a kernel broke")
        return plain(*args, **inputs)

    monkeypatch.setattr(loaded.model, "forward", forward)
    outcomes = read_attention(loaded, samples, images)
    assert [type(o) for o in outcomes] == [AttentionRows, SampleFailed, AttentionRows]
    assert "a kernel broke" in str(outcomes[1])


def test_rows_that_are_not_finite_fail_that_sample(loaded, monkeypatch):
    samples, images = some(3)
    wanted = read_attention(loaded, samples, images)
    plain = reading.BatchStatistics.__call__

    def poisoned(self, layer, rows):
        rows = rows.clone()
        if layer == 1:
            rows[1, 2, -1] = float("nan")
        plain(self, layer, rows)

    monkeypatch.setattr(reading.BatchStatistics, "__call__", poisoned)
    outcomes = read_attention(loaded, samples, images)
    assert isinstance(outcomes[1], NonFiniteAttention)
    assert "layers 1." in str(outcomes[1])
    for i in (0, 2):
        assert_same(outcomes[i], wanted[i])


def test_broken_weights_give_errors_not_numbers(folders):
    from bye_core.models.loading import load_model

    broken = load_model(folders["llama"], device="cpu")
    broken.base.lm_head.weight.data[0, 0] = float("nan")
    samples, images = some(2)
    outcomes = read_attention(broken, samples, images)
    assert [type(o) for o in outcomes] == [NonFiniteAttention] * 2
    assert "output only" in str(outcomes[0])


def test_a_model_whose_attention_passes_by_is_the_models_fault(loaded):
    class Deeper:
        layers = (0, 1, 2, 3)

        def __getattr__(self, name):
            return getattr(loaded.family, name)

    samples, images = some(1)
    with pytest.raises(UnreadableAttention, match=r"\[3\]"):
        read_attention(dataclasses.replace(loaded, family=Deeper()), samples, images)


def test_an_error_of_another_kind_is_not_swallowed(loaded, monkeypatch):
    samples, images = some(2)
    limited(loaded, monkeypatch, KeyboardInterrupt(), most=0)
    with pytest.raises(KeyboardInterrupt):
        read_attention(loaded, samples, images)
    assert loaded.base.config.text_config._attn_implementation == "sdpa"


def test_picture_count_is_checked_by_sample_not_by_batch(loaded):
    """Three and one picture where two and two are named: the sum fits, each sample does not."""
    samples = [sample("a", images=2), sample("b", images=2)]
    texts = [loaded.family.prompt(s) for s in samples]
    with pytest.raises(ImageCount):
        loaded.family.encode(texts, [[picture(0)] * 3, [picture(1)]])
