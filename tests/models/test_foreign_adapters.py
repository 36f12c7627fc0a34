"""Adapters made by other tools give the same logits as in the tool that made them."""

import copy
import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from bye_core.models.errors import AdapterMismatch
from bye_core.models.loading import load_model
from tests.models.families.llava import tiny_model
from tests.models.tiny import picture, sample, save_tiny

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# The forms in which LLaMA-Factory and ms-swift write target modules that leave the tower out.
LLAMA_FACTORY = rf"^(?!.*(?:multi_modal_projector|vision_tower)).*(?:{'|'.join(PROJECTIONS)}).*"
SWIFT = rf"^(model\.language_model(?=\.).*\.({'|'.join(PROJECTIONS)}))$"
EARLIER_SWIFT = rf"^(language_model(?=\.).*\.({'|'.join(PROJECTIONS)}))$"
# The same for Qwen2.5-VL, when model.* was the language model alone.
EARLIER_QWEN = {
    "llama-factory": "^(?!.*(?:patch_embed|visual)).*(?:up_proj|q_proj|k_proj|down_proj|gate_proj|o_proj|v_proj).*",
    "ms-swift": "^(model)(?!.*(lm_head|output|emb|wte|shared)).*",
}
FORMS = {
    "dora": {"target_modules": PROJECTIONS, "use_dora": True},
    "rslora": {"target_modules": PROJECTIONS, "use_rslora": True},
    "projector saved": {"target_modules": LLAMA_FACTORY, "modules_to_save": ["multi_modal_projector"]},
    "embeddings saved": {"target_modules": SWIFT, "modules_to_save": ["embed_tokens", "lm_head"]},
    "all-linear": {"target_modules": "all-linear"},
    "ranks by module": {
        "target_modules": SWIFT,
        "rank_pattern": {"model.language_model.layers.1.self_attn.q_proj": 4},
        "alpha_pattern": {"model.language_model.layers.1.self_attn.q_proj": 2},
    },
    "some layers": {"target_modules": PROJECTIONS, "layers_to_transform": [1], "layers_pattern": "layers"},
    "dora by pattern": {"target_modules": SWIFT, "use_dora": True, "use_rslora": True},
    "biases": {"target_modules": LLAMA_FACTORY, "bias": "lora_only"},
}


def tuned(rows=None, **config):
    """Return a tiny model with an adapter that changes something."""
    base = tiny_model()
    if rows:
        base.resize_token_embeddings(rows, mean_resizing=False)
    wrapped = get_peft_model(base, LoraConfig(r=2, task_type="CAUSAL_LM", **config)).eval()
    torch.manual_seed(1)
    for name, weight in wrapped.named_parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, mean=1.0 if "magnitude" in name else 0.0, std=0.2)
    return wrapped


def logits(model, family):
    inputs = family.encode([family.prompt(sample("a"))], [[picture(0)]])
    with torch.no_grad():
        return model(**inputs).logits


def edit(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rename(folder, change):
    path = folder / "adapter_model.safetensors"
    save_file({change(name): tensor for name, tensor in load_file(path).items()}, path)


def earlier(name):
    """The names of transformers before 4.52: the language model and the projector lay beside each other."""
    return name.replace("model.model.language_model.layers", "model.language_model.model.layers")


@pytest.mark.parametrize("form", FORMS)
def test_the_logits_are_those_of_peft(folder, loaded, form, tmp_path):
    wrapped = tuned(**FORMS[form])
    wrapped.save_pretrained(tmp_path)
    ours = load_model(folder, tmp_path, device="cpu")
    expected = logits(PeftModel.from_pretrained(tiny_model(), tmp_path).eval(), loaded.family)
    assert torch.equal(expected, logits(wrapped, loaded.family))
    assert torch.equal(logits(ours.model, ours.family), expected)
    assert not torch.allclose(expected, logits(loaded.model, loaded.family), atol=1e-3)


def test_other_files_and_fields_of_later_versions_do_not_matter(folder, loaded, tmp_path):
    wrapped = tuned(target_modules=SWIFT)
    wrapped.save_pretrained(tmp_path)
    edit(tmp_path, lora_dtype=None, lorap_lr_ratio=None, a_field_of_a_later_version=3)
    for name in ("args.json", "additional_config.json", "trainer_state.json", "training_args.bin", "README.md"):
        (tmp_path / name).write_bytes(b"{}")
    ours = load_model(folder, tmp_path, device="cpu")
    assert torch.equal(logits(ours.model, ours.family), logits(wrapped, loaded.family))


@pytest.mark.parametrize("targets", [EARLIER_SWIFT, LLAMA_FACTORY, PROJECTIONS, "all-linear"])
def test_patterns_for_an_earlier_layout(folder, loaded, targets, tmp_path):
    wrapped = tuned(target_modules=SWIFT)
    wrapped.save_pretrained(tmp_path)
    edit(tmp_path, target_modules=targets)
    rename(tmp_path, earlier)
    ours = load_model(folder, tmp_path, device="cpu")
    assert torch.equal(logits(ours.model, ours.family), logits(wrapped, loaded.family))


def test_ranks_by_module_in_an_earlier_layout(folder, loaded, tmp_path):
    module = "model.language_model.layers.1.self_attn.q_proj"
    old = "language_model.model.layers.1.self_attn.q_proj"
    wrapped = tuned(target_modules=SWIFT, rank_pattern={module: 4})
    wrapped.save_pretrained(tmp_path)
    edit(tmp_path, target_modules=EARLIER_SWIFT, rank_pattern={old: 4})
    rename(tmp_path, earlier)
    ours = load_model(folder, tmp_path, device="cpu")
    assert torch.equal(logits(ours.model, ours.family), logits(wrapped, loaded.family))


@pytest.mark.parametrize("rows", [407, 390])
@pytest.mark.parametrize("config", [{}, {"modules_to_save": ["embed_tokens", "lm_head"]}])
def test_embeddings_of_another_size(folder, loaded, rows, config, tmp_path):
    wrapped = tuned(rows=rows, target_modules=PROJECTIONS, **config)
    wrapped.save_pretrained(tmp_path, save_embedding_layers=True)
    ours = load_model(folder, tmp_path, device="cpu")
    assert ours.base.get_input_embeddings().weight.shape[0] == rows
    assert torch.equal(logits(ours.model, ours.family), logits(wrapped, loaded.family))


def test_the_tokenizer_of_added_tokens_comes_with_the_adapter(folder, loaded, tmp_path):
    wrapped = tuned(rows=401, target_modules=PROJECTIONS)
    wrapped.save_pretrained(tmp_path, save_embedding_layers=True)
    plain = load_model(folder, tmp_path, device="cpu")
    tokenizer = load_model(folder, device="cpu").processor.tokenizer
    tokenizer.add_tokens(["<answer>"])
    tokenizer.save_pretrained(tmp_path)
    ours = load_model(folder, tmp_path, device="cpu")
    assert ours.processor.tokenizer.convert_tokens_to_ids("<answer>") == len(tokenizer) - 1
    assert "tokenizer.json" in ours.identity["files"]["adapter"]
    assert ours.identity["adapter_digest"] != plain.identity["adapter_digest"]


def test_targets_that_contradict_the_file_are_refused(folder, tmp_path):
    tuned(target_modules=SWIFT).save_pretrained(tmp_path)
    edit(tmp_path, target_modules=r".*vision_tower.*\.q_proj")
    with pytest.raises(AdapterMismatch):
        load_model(folder, tmp_path, device="cpu")


def test_a_damaged_file_is_refused(folder, tmp_path):
    tuned(target_modules=SWIFT).save_pretrained(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(AdapterMismatch):
        load_model(folder, tmp_path, device="cpu")


ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
# By family: an adapter, and the names of its language model in the file if they are those of an earlier layout.
OTHER_FAMILIES = [
    ("qwen3_vl_moe", {"target_modules": ATTENTION, "target_parameters": EXPERTS}, ""),
    ("internvl", {"target_modules": ATTENTION, "trainable_token_indices": {"embed_tokens": [3, 9]}}, ""),
    ("qwen2_5_vl", {"target_modules": PROJECTIONS, "use_dora": True, "modules_to_save": ["merger"]}, ""),
    ("internvl", {"target_modules": r".*language_model.*\.(q_proj|v_proj)"}, "language_model.model"),
    ("llava_next", {"target_modules": r".*language_model.*\.(q_proj|v_proj)"}, "language_model.model"),
    ("qwen2_vl", {"target_modules": r".*language_model.*\.(q_proj|v_proj)"}, "model"),
]


@pytest.mark.parametrize(("family", "config", "earlier_name"), OTHER_FAMILIES)
def test_adapters_of_other_families(tmp_path, family, config, earlier_name):
    model, adapter = save_tiny(tmp_path / "model", family), tmp_path / "adapter"
    plain = load_model(model, device="cpu")
    adapted = get_peft_model(copy.deepcopy(plain.base), LoraConfig(r=2, task_type="CAUSAL_LM", **config)).eval()
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, mean=1.0 if "magnitude" in name else 0.0, std=0.2)
    adapted.save_pretrained(adapter)
    if earlier_name:
        rename(adapter, lambda name: name.replace("model.language_model.", f"{earlier_name}."))
        edit(adapter, target_modules=["q_proj", "v_proj"])
    ours = load_model(model, adapter, device="cpu")
    expected = logits(adapted, plain.family)
    torch.testing.assert_close(logits(ours.model, ours.family), expected)
    assert not torch.allclose(expected, logits(plain.model, plain.family), atol=1e-3)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"), "qwen2_5_vl")


@pytest.mark.parametrize("tool", EARLIER_QWEN)
def test_a_qwen_adapter_with_the_names_of_the_earlier_layout(qwen, tmp_path, tool):
    plain = load_model(qwen, device="cpu")
    targets = plain.family.lora_targets(plain.base, projector=False)
    adapted = get_peft_model(copy.deepcopy(plain.base), LoraConfig(r=2, target_modules=targets)).eval()
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(tmp_path)
    rename(tmp_path, lambda name: name.replace("model.language_model.", "model."))
    edit(tmp_path, target_modules=EARLIER_QWEN[tool], auto_mapping=None)
    ours = load_model(qwen, tmp_path, device="cpu")
    torch.testing.assert_close(logits(ours.model, ours.family), logits(adapted, plain.family))
