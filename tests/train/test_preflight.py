"""What is known before the first step: token counts are the encoder's, memory is near what is really kept."""

import json
import shlex
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from bye_core.cli import main
from bye_core.models.loading import load_model
from bye_core.train import fsdp, preflight, wording
from bye_core.train.adapter import with_lora
from bye_core.train.collate import Collator
from bye_core.train.errors import NoAnswer, NothingToLearnFrom
from bye_core.train.preflight import Stack, tower_stack
from bye_core.train.settings import FinetuneSettings
from tests.models.tiny import picture, sample, save_tiny
from tests.pipeline.test_stages import write_set

LONG = "what colour is the cat ? " * 9


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture
def loaded(model):
    return load_model(model, device="cpu")


def samples():
    """Of several lengths and pictures, among them an odd one of every kind."""
    found = [
        sample("short", "how ?"),
        sample("two pictures", images=2),
        sample("long", LONG),
    ]
    found += [sample("told", system="you are kind"), sample("endless", "what ? " * 400)]
    asked = sample("unanswered")
    return [*found, replace(asked, turns=asked.turns[:-1]), sample("no picture", images=0)]


def pictures(one):
    return [picture(n, 20 + 7 * n, 33) for n in range(len(one.images))]


def test_counts_are_those_of_the_encoder(loaded):
    found = preflight.run_preflight(loaded, samples(), pictures, FinetuneSettings(epochs=3, batch=2, micro_batch=1))
    assert [one.id for one in found.samples] == ["short", "two pictures", "long", "told", "no picture"]
    assert [(fault.id, fault.kind) for fault in found.faults] == [("endless", "TooLong"), ("unanswered", "NoAnswer")]
    encoded = [Collator(loaded.family, pictures)([one])["input_ids"].shape[1] for one in found.samples]
    lengths = found.lengths
    assert (lengths.least, lengths.median, lengths.most) == (min(encoded), sorted(encoded)[2], max(encoded))
    assert lengths.limit == 512
    assert "accepts at most 512" in found.faults[0].problem
    assert found.steps == 9


def test_a_set_without_a_usable_sample(loaded):
    def unreadable(one):
        raise NoAnswer(id=one.id)

    with pytest.raises(NothingToLearnFrom):
        preflight.run_preflight(loaded, samples(), unreadable, FinetuneSettings())


def test_trained_weights_are_counted_before_there_are_any(loaded):
    for settings in (FinetuneSettings(rank=3), FinetuneSettings(rank=2, vision=True, projector=False)):
        counted = preflight.trained_weights(loaded, settings)
        tuned = with_lora(load_model(loaded.identity["model"], device="cpu"), settings)
        assert counted == sum(weight.numel() for weight in tuned.parameters() if weight.requires_grad)


def kept_bytes(tuned, batch):
    """What autograd holds for the backward pass after one forward pass, weights left aside, and the logits."""
    own = {weight.untyped_storage().data_ptr() for weight in tuned.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        tuned(**batch)
    return sum(size for size, _ in kept.values())


def rest_of_logits(loaded, tokens, samples):
    """What the estimate counts of the logits beyond the one copy that autograd keeps."""
    vocabulary = loaded.family.config.get_text_config().vocab_size
    return preflight.logit_bytes(vocabulary, tokens, samples, 4) * 4 // 5


def kept_and_estimated(model, changed):
    """Bytes of one forward pass of a batch that are kept, and the estimate of the same."""
    settings = FinetuneSettings(rank=2, **changed)
    loaded = load_model(model, device="cpu")
    chosen = [sample(str(n), LONG) for n in range(4)]
    batch = Collator(loaded.family, pictures)(chosen)
    tokens = batch["input_ids"].shape[1]
    estimate = preflight.step_bytes(loaded, settings, tokens, len(chosen)) - rest_of_logits(loaded, tokens, 4)
    return kept_bytes(with_lora(loaded, settings).train(), batch), estimate


@pytest.mark.parametrize("changed", [{}, {"dropout": 0.1}, {"vision": True}], ids=["plain", "dropout", "vision"])
def test_the_estimate_is_near_what_is_kept(model, changed):
    kept, estimate = kept_and_estimated(model, changed)
    assert 0.6 < kept / estimate < 1.6


def test_checkpointing_keeps_less_and_the_estimate_follows(model):
    (all_kept, _), (kept, estimate) = (
        kept_and_estimated(model, {"gradient_checkpointing": on}) for on in (False, True)
    )
    # The estimate holds the layer, too, that is computed again in the backward pass.
    assert kept < estimate < all_kept


def test_a_dry_run_tells_and_trains_nothing(model, tmp_path, capsys):
    data = write_set(tmp_path / "raw", 5)
    (data / "images/0.png").unlink()
    command = ["finetune", "--model", str(model), "--data", str(data), "--out", str(tmp_path / "out"), "--dry-run"]
    assert main.main([*command, "--preset", "paper-internvl", "--epochs", "2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["samples"], facts["left_out"], facts["steps"]) == (4, 1, 2)
    assert facts["reasons"] == {"MissingImage": 1}
    assert facts["memory"]["total"] < facts["memory"]["free"]
    assert main.main(command) == 0
    text = capsys.readouterr().out
    assert "left out  record 1  0  MissingImage" in text
    assert not (tmp_path / "out").exists()


def test_a_dry_run_names_what_fsdp_splits_and_the_command(model, tmp_path, capsys):
    data = write_set(tmp_path / "raw set", 2)
    command = ["finetune", "--model", str(model), "--data", str(data), "--out", "out", "--fsdp", "--rank", "2"]
    assert main.main([*command, "--dry-run", "--json", "--device", "cpu"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["fsdp"]["layers"] == {"CLIPEncoderLayer": 2, "CLIPVisionEmbeddings": 1, "LlamaDecoderLayer": 3}
    start, _, words = facts["fsdp"]["start"].partition(" -m bye_core ")
    assert start == "torchrun --standalone --nproc_per_node=2"
    again = main.build_parser().parse_args(shlex.split(words))
    assert (again.here, again.fsdp, again.rank, again.data) == (True, True, 2, str(data))
    lines = list(wording.left_out(facts))
    assert any("2 processes share the weights of the layers 2 x CLIPEncoderLayer" in line for line in lines)
    assert facts["fsdp"]["start"] in " ".join(lines)


def test_a_part_of_the_weights_needs_less_memory(loaded):
    whole = sum(weight.numel() * weight.element_size() for weight in loaded.model.parameters())
    assert whole == fsdp.weight_bytes(loaded.model, 1) > fsdp.weight_bytes(loaded.model, 8) > whole / 8


@pytest.mark.parametrize(
    ("vision", "stack"),
    [
        ({"num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 12, "image_size": 16}, Stack(2, 8, 12, 16)),
        ({"depth": 3, "embed_dim": 8}, Stack(3, 8, 32, 40)),
    ],
)
def test_the_tower_of_any_family(vision, stack):
    assert tower_stack(SimpleNamespace(patch_size=4, **vision), tokens=10) == stack


def test_experts_that_stay_unchanged_are_named(tmp_path):
    settings = FinetuneSettings(epochs=1, batch=1, micro_batch=1)
    loaded = load_model(save_tiny(tmp_path, "qwen3_5_moe"), device="cpu")
    facts = preflight.run_preflight(loaded, [sample("a")], pictures, settings).facts()
    assert wording.EXPERTS in list(wording.left_out(facts))
    assert not any("experts" in name for name in loaded.family.lora_targets(loaded.base))
