"""Every model family: captured attention, unchanged output, groups of tokens, maps of the picture, LoRA targets.

Finds the tiny model of each registered family by itself (tests/models/tiny.py).
"""

import copy
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image

from bye_core.attention import LastRowCapture, read_answers, read_attention, read_with_answers, with_answers
from bye_core.attention.preparation import can_travel
from bye_core.grids import cell_box, token_numbers
from bye_core.models import calls
from bye_core.models.families import FAMILIES
from bye_core.models.families.generic import GenericFamily
from bye_core.models.loading import load_model
from bye_core.records import AttentionRows, ModelAnswer, Turn
from bye_core.train.collate import Collator
from tests.models.spelling import learned_texts, spelled
from tests.models.tiny import SHAPES, TALK, picture, sample, tiny_models

TINY = tiny_models()
TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=list(TINY))
def tiny(request):
    found = TINY[request.param]
    if found.package:
        pytest.importorskip(found.package)
    return found


@pytest.fixture(scope="module")
def loaded(tiny, tmp_path_factory):
    """The tiny model, saved and loaded as a user's model is."""
    return load_model(tiny.save(tmp_path_factory.mktemp(tiny.name), **tiny.options), device="cpu")


def question_sample(tiny, id="a"):
    return sample(id, system="be kind" if tiny.system else "")


def encoded(loaded, samples, images):
    return loaded.family.encode([loaded.family.prompt(one) for one in samples], images)


@pytest.fixture(scope="module")
def single(tiny, loaded):
    return encoded(loaded, [question_sample(tiny)], [[picture(0)]])


@pytest.fixture(scope="module")
def batch(tiny, loaded):
    """Three samples of different lengths and shapes, padded on the left; the second has two pictures if it may."""
    count = 2 if tiny.images else 1
    samples = [question_sample(tiny), sample("b", "how many dogs are there in it ?", images=count), sample("c", "?")]
    images = [[picture(0)], [picture(1, 40, 20), picture(2, 20, 44)][:count], [picture(3, 31, 30)]]
    inputs = encoded(loaded, samples, images)
    assert not inputs["attention_mask"][:, 0].all()
    return inputs


def run_as(model, implementation, inputs, **options):
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = base.config.get_text_config()._attn_implementation
    base.set_attn_implementation({"text_config": implementation})
    with torch.inference_mode():
        output = model(**inputs, use_cache=False, **options)
    base.set_attn_implementation({"text_config": before})
    return output


def check_capture(tiny, model, inputs):
    """Check captured rows against eager ones and the logits against those without capture."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    rows = {}
    with torch.inference_mode(), LastRowCapture(base, rows.__setitem__):
        captured = model(**inputs, use_cache=False).logits
    eager = run_as(model, "eager", inputs, output_attentions=True)
    # A model returns the attention of the layers that have one, in the order of the layers.
    assert len(eager.attentions) == len(rows)
    assert set(rows) >= set(tiny.layers)
    for layer, full in zip(sorted(rows), eager.attentions, strict=True):  # [B, H, Q, K]
        torch.testing.assert_close(rows[layer], full[:, :, -1], atol=TOLERANCE, rtol=0)
    plain = eager.logits if tiny.plain == "eager" else run_as(model, tiny.plain, inputs).logits
    real = inputs["attention_mask"].bool()
    torch.testing.assert_close(captured[real], plain[real], atol=TOLERANCE, rtol=TOLERANCE)


def test_every_model_type_has_a_tiny_model():
    assert set(FAMILIES) <= {tiny.config().model_type for tiny in TINY.values()}


def test_markers_match_no_ordinary_words():
    text = "Write a caption for this image. < a > b | user [ image ] assistant: system start end think"
    for family in FAMILIES.values():
        assert not [marker for marker in (*family.image_markers, *family.chat_markers) if re.search(marker, text)]


def test_one_question(tiny, loaded, single):
    check_capture(tiny, loaded.model, single)


def test_a_padded_batch_with_two_pictures(tiny, loaded, batch):
    text = loaded.base.config.get_text_config()
    assert tiny.grouped == (text.num_key_value_heads < text.num_attention_heads)
    check_capture(tiny, loaded.model, batch)


def test_lora(tiny, loaded, batch):
    config = LoraConfig(r=2, target_modules=loaded.family.lora_targets(loaded.base), task_type="CAUSAL_LM")
    adapted = get_peft_model(copy.deepcopy(loaded.base), config).eval()
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    check_capture(tiny, adapted, batch)


def test_the_layers_that_see_the_picture(tiny, loaded):
    (rows,) = read_attention(loaded, [question_sample(tiny)], [[picture(0)]])
    assert isinstance(rows, AttentionRows), rows
    for values in (rows.rows, rows.layer_entropy[:, None], rows.entropy):
        known = np.isfinite(values)
        assert tuple(np.flatnonzero(known.all(axis=1))) == tuple(np.flatnonzero(known.any(axis=1))) == tiny.layers
    assert rows.rows.shape[1] == sum(length for group, length in tiny.groups if group == "I")


def test_the_group_of_every_token(tiny, loaded, single):
    groups, _ = loaded.family.token_groups(single, 0, question_sample(tiny), [picture(0)])
    assert spelled(loaded.family, single, 0, groups) == list(tiny.groups)


def lora_parts(loaded, **options):
    return {name for name in loaded.family.lora_targets(loaded.base, **options)}


def test_lora_targets(loaded):
    family, modules = loaded.family, dict(loaded.base.named_modules())
    heads = {name for name, module in modules.items() if module is loaded.base.get_output_embeddings()}
    decoder = f"{family.language_model_name}.layers."
    projectors = tuple(f"{name}." for name in (family.projector_name, *family.more_projector_names))
    targets = lora_parts(loaded)
    assert targets
    assert all(f"{name}.".startswith((decoder, *projectors)) and name not in heads for name in targets)
    layers = loaded.base.config.get_text_config().num_hidden_layers
    assert {name.removeprefix(decoder).split(".")[0] for name in targets if name.startswith(decoder)} == {
        str(layer) for layer in range(layers)
    }
    assert lora_parts(loaded, projector=False) == {name for name in targets if name.startswith(decoder)}
    assert {n for n in lora_parts(loaded, tower=True) - targets if n.startswith(f"{family.tower_name}.")}


def test_what_fine_tuning_learns(tiny, loaded):
    """Answers with their ends, token by token; no padding, no image token, no thought that the template adds."""
    if tiny.learned is None:
        assert isinstance(loaded.family, GenericFamily)
        pytest.skip("no expectation of a model without a family of its own")
    talk = replace(TALK, turns=TALK.turns[: 2 * len(tiny.learned)])
    batch = Collator(loaded.family, lambda one: [picture(4)])([talk, sample("a", "?")])
    assert learned_texts(loaded.processor.tokenizer, batch["labels"][0]) == list(tiny.learned)
    assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()
    real = batch["labels"] != -100
    assert (batch["labels"][real] == batch["input_ids"][real]).all()


def test_a_training_batch_of_different_shapes_is_its_samples_alone(tiny, loaded):
    """Images of several shapes and numbers: the labels, image tokens and logits of each sample do not change."""
    count = 2 if tiny.images else 1
    images = {"wide": [picture(0, *SHAPES["wide"])], "d": [picture(3)]}
    images["two"] = [picture(1, *SHAPES["tall"]), picture(2, *SHAPES["square"])][:count]
    samples = [sample("wide", system="be kind" if tiny.system else ""), sample("two", "?", count), sample("d", "how ?")]
    collator = Collator(loaded.family, lambda one: images[one.id])
    together = collator(samples)
    with torch.inference_mode():
        logits = loaded.model(**together, use_cache=False).logits
    tokens = set()
    for row, one in enumerate(samples):
        alone, real = collator([one]), together["attention_mask"][row].bool()
        for name in ("input_ids", "labels"):
            assert torch.equal(together[name][row][real], alone[name][0])
        tokens.add(int((alone["input_ids"] == loaded.family.image_token_id).sum()))
        with torch.inference_mode():
            own = loaded.model(**alone, use_cache=False).logits[0]
        torch.testing.assert_close(logits[row][real], own, atol=2e-4, rtol=0)
    assert len(tokens) > 1 or not tiny.images
    if isinstance(loaded.family, GenericFamily):
        return  # it would measure the layout of each shape
    first, *_ = read_attention(loaded, samples, [images[one.id] for one in samples])
    (own,) = read_attention(loaded, samples[:1], [images["wide"]])
    assert first.grids == own.grids
    # Linear attention runs in chunks, which begin at other tokens behind padding.
    np.testing.assert_allclose(first.entropy, own.entropy, atol=10 * TOLERANCE, rtol=0)


def test_no_answer_token_is_predicted_from_later_ones(tiny, loaded):
    """Families whose prompts see themselves in both directions must not show the answer to itself."""
    inputs = Collator(loaded.family, lambda one: [picture(4)])([sample("a"), sample("a")])
    learned = torch.nonzero(inputs["labels"][0] != -100).flatten().tolist()
    question = encoded(loaded, [sample("a")], [[picture(4)]])["input_ids"][0]
    assert inputs["input_ids"][0, : learned[0]].tolist() == question.tolist()  # a scan asks as the training did
    last = learned[-1]
    inputs["input_ids"][1, last] = int(inputs["input_ids"][1, last - 1])
    with torch.inference_mode():
        one, other = loaded.model(**inputs, use_cache=False).logits[:, :last]
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_gradient_checkpointing(tiny, loaded):
    config = LoraConfig(r=2, target_modules=loaded.family.lora_targets(loaded.base), task_type="CAUSAL_LM")
    base = copy.deepcopy(loaded.base)
    base.gradient_checkpointing_enable({"use_reentrant": False})
    tuned = get_peft_model(base, config).train()
    tuned(**Collator(loaded.family, lambda one: [picture(4)])([sample("a"), sample("b", "?")])).loss.backward()
    gradients = {name: weight.grad for name, weight in tuned.named_parameters() if "lora_B" in name}
    assert gradients
    assert not [name for name, gradient in gradients.items() if gradient is None or not gradient.any()]


def test_answers_do_not_depend_on_padding(tiny, loaded, monkeypatch):
    monkeypatch.setattr(calls, "ANSWER_TOKENS", 4)
    samples = [question_sample(tiny), sample("b", "how many dogs are there in it ?"), sample("c", "?")]
    images = {"a": [picture(0)], "b": [picture(1, 40, 20)], "c": [picture(3, 31, 30)]}
    answers = [
        next(calls.generate_answers(loaded, part, lambda one: images[one.id])) for part in (samples, samples[2:])
    ]
    assert isinstance(answers[0][2], ModelAnswer)
    assert answers[0][2] == answers[1][0]
    losses = [read_answers(loaded, part, [images[one.id] for one in part]) for part in (samples, samples[2:])]
    assert losses[0][2].nll == pytest.approx(losses[1][0].nll, abs=1e-4)


def test_another_process_encodes_alike(tiny, loaded):
    """Worker processes get a copy of the family, unless it needs the model."""
    assert can_travel(loaded.family) == (not isinstance(loaded.family, GenericFamily))
    if not loaded.family.needs_model:
        copied = pickle.loads(pickle.dumps(loaded.family))
        texts, images = [copied.prompt(sample("a"))], [[picture(0)]]
        own, other = loaded.family.encode(texts, images), copied.encode(texts, images)
        assert {name: value.tolist() for name, value in own.items()} == {n: v.tolist() for n, v in other.items()}


def test_an_answer_behind_the_question_changes_no_row(tiny, loaded, monkeypatch):
    """The statistics and losses of one pass over question and answer are those of separate passes."""
    if not loaded.family.causal:
        assert isinstance(loaded.family, GenericFamily)
        pytest.skip("only families of their own are known to be causal")
    asked = [question_sample(tiny), sample("b", "how many dogs are there in it ?"), sample("c", "?")]
    answers = ["red", "it is a kind cat", "yes , there are many dogs in it"]
    samples = [replace(s, turns=(*s.turns[:-1], Turn("assistant", (a,)))) for s, a in zip(asked, answers, strict=True)]
    images = [[picture(0)], [picture(1, 40, 20)], [picture(3, 31, 30)]]
    apart = with_answers._read_apart(loaded, samples, images)
    monkeypatch.setattr(with_answers, "_read_apart", lambda loaded, samples, images: [None] * len(samples))
    for one, other in zip(read_with_answers(loaded, samples, images), apart, strict=True):
        assert one.unread is other.unread is None
        for name, value in vars(other.rows).items():
            if name in ("rows", "hidden"):  # float16
                np.testing.assert_allclose(getattr(one.rows, name), value, atol=2e-3, rtol=2e-3)
            elif isinstance(value, np.ndarray | float):
                np.testing.assert_allclose(getattr(one.rows, name), value, atol=TOLERANCE, rtol=0, err_msg=name)
            else:
                assert getattr(one.rows, name) == value


class Stop(Exception):
    """Ends a forward pass as soon as the image features are known."""


def image_features(loaded, inputs):
    """Return the embeddings that the language model receives at the image tokens of each sample: [B, V, D]."""
    kept = []

    def keep(module, args, kwargs):
        kept.append(kwargs["inputs_embeds"])
        raise Stop

    hook = loaded.base.get_submodule(loaded.family.language_model_name).register_forward_pre_hook(
        keep, with_kwargs=True
    )
    try:
        with torch.inference_mode():
            loaded.base(**inputs, use_cache=False)
    except Stop:
        pass
    finally:
        hook.remove()
    images = inputs["input_ids"] == loaded.family.image_token_id  # [B, K]
    return torch.stack([states[own] for states, own in zip(kept[0], images, strict=True)]).numpy()


def pixels(grid, row, column, size):
    return tuple(round(edge) for edge in cell_box(grid, row, column, *size))


def overlap(one, other):
    return max(0, min(one[2], other[2]) - max(one[0], other[0])) * max(0, min(one[3], other[3]) - max(one[1], other[1]))


def painted_cells(grid, size):
    """Return three cells of a grid that lie in the picture: in the first row, in a middle row and the last cell."""
    inside = [
        (row, column)
        for row in range(grid.rows)
        for column in range(grid.columns)
        for left, top, right, bottom in [pixels(grid, row, column, size)]
        if 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    ]
    return {inside[min(1, len(inside) - 1)], inside[len(inside) * 2 // 3], inside[-1]}


def cell_of_most_change(change, grid):
    own = change[token_numbers(grid)]
    return divmod(int(own.argmax()), grid.columns)


@pytest.mark.parametrize("shape", ["wide", "tall", "square"])
def test_a_painted_cell_lies_under_the_token_that_changes_most(tiny, loaded, shape):
    size, one = tiny.shapes[shape], sample("a")
    grey = Image.new("RGB", size, (120, 120, 120))
    _, grids = loaded.family.token_groups(encoded(loaded, [one], [[grey]]), 0, one, [grey])
    assert [(grid.rows, grid.columns, grid.start) for grid in grids] == list(tiny.grids[shape])
    painted = [(grid, cell) for grid in grids for cell in painted_cells(grid, size)]
    boxes = [pixels(grid, *cell, size) for grid, cell in painted]
    pictures = [grey] + [grey.copy() for _ in painted]
    for shown, box in zip(pictures[1:], boxes, strict=True):
        shown.paste((255, 0, 0), box)
    inputs = encoded(loaded, [one] * len(pictures), [[shown] for shown in pictures])
    features = (tiny.features or image_features)(loaded, inputs)  # [B, V, D]
    changes = np.linalg.norm(features[1:] - features[0], axis=-1)  # [painted, V]
    for (grid, cell), box, change in zip(painted, boxes, changes, strict=True):
        found = cell_of_most_change(change, grid)
        assert max(abs(one - other) for one, other in zip(found, cell, strict=True)) <= tiny.near
        for other in grids:
            # A thumbnail and a tile show the same place: each points at it with the cell that changes most.
            whole = tuple(edge * side for edge, side in zip(other.box, size * 2, strict=True))
            if other is not grid and overlap(whole, box) > 0.9 * overlap(box, box):
                assert overlap(pixels(other, *cell_of_most_change(change, other), size), box), (grid, cell, other)


def test_each_picture_has_its_own_tokens(tiny, loaded):
    if not tiny.images:
        pytest.skip("a prompt holds one picture")
    one, first, second = sample("a", images=2), picture(0, 40, 20), picture(1, 20, 44)
    before = encoded(loaded, [one], [[first, second]])
    after = encoded(loaded, [one], [[first, picture(2, 20, 44)]])
    _, grids = loaded.family.token_groups(before, 0, one, [first, second])
    features = [(tiny.features or image_features)(loaded, inputs)[0] for inputs in (before, after)]
    changed = np.abs(features[1] - features[0]).max(axis=-1) > 1e-4
    assert {grid.image for grid in grids} == ({0, 1} if tiny.grids["square"] else set())
    for grid in grids:
        own = changed[token_numbers(grid)]
        assert own.all() if grid.image else not own.any()
