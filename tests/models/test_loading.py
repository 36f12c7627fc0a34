"""Loading: what comes out, and a clear refusal for everything that must not be loaded."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM
from transformers.utils import is_timm_available

from bye_core.errors import SettingError
from bye_core.models import loading
from bye_core.models.adapter import renamed_tensors
from bye_core.models.errors import (
    AdapterAsModel,
    AdapterMismatch,
    BrokenModel,
    ForeignCode,
    IncompleteWeights,
    MisnamedWeights,
    MissingPackage,
    ModelNotFound,
    NoChatTemplate,
    NoTokenizerFile,
    OnlyCheckpoints,
    OriginalLayout,
    PickleWeights,
    ProcessorCode,
    TextOnlyModel,
    UnsupportedAdapter,
    UnsupportedFamily,
    WrongProcessor,
)
from bye_core.models.loading import load_model, pick_device, pick_dtype
from bye_core.models.original import ORIGINAL, VISION_ENTRIES
from tests.models.families.llava import tiny_model
from tests.models.tiny import picture, sample, tiny_models


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def adapter(loaded, tmp_path_factory):
    """A LoRA adapter that changes something: its B is not zero."""
    wrapped = get_peft_model(
        tiny_model(), LoraConfig(r=2, target_modules=loaded.family.lora_targets(loaded.base), task_type="CAUSAL_LM")
    )
    torch.manual_seed(1)
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    path = tmp_path_factory.mktemp("adapter")
    wrapped.save_pretrained(path)
    return path


@pytest.fixture
def adapter_copy(adapter, tmp_path):
    return shutil.copytree(adapter, tmp_path / "adapter")


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def logits(loaded):
    inputs = loaded.family.encode([loaded.family.prompt(sample("a"))], [[picture(0)]])
    with torch.no_grad():
        return loaded.model(**inputs).logits


def test_a_loaded_model_is_ready_and_says_what_it_is(loaded, folder):
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert loaded.dtype is torch.float32
    assert loaded.device.type == "cpu"
    assert loaded.base is loaded.model
    assert loaded.family.name == "LLaVA-1.5"
    assert loaded.identity["model"] == str(folder)
    assert loaded.identity["adapter"] is None
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(loaded.identity["files"]["model"])
    assert set(loaded.identity["versions"]) == {"torch", "transformers", "peft"}
    json.dumps(loaded.identity)


def test_identity_follows_the_weights_not_the_place(loaded, copy):
    same = load_model(copy, device="cpu").identity
    assert same["files"] == loaded.identity["files"]
    assert same["model_digest"] == loaded.identity["model_digest"]
    weights = load_file(copy / "model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1}, copy / "model.safetensors", metadata={"format": "pt"})
    changed = load_model(copy, device="cpu").identity
    assert changed["model_digest"] != loaded.identity["model_digest"]
    assert changed["files"]["model"]["model.safetensors"] != same["files"]["model"]["model.safetensors"]


def test_an_adapter_changes_the_answers(loaded, folder, adapter):
    tuned = load_model(folder, adapter, device="cpu")
    assert not torch.allclose(logits(tuned), logits(loaded), atol=1e-2)
    assert tuned.base is not tuned.model
    assert set(tuned.identity["files"]["adapter"]) == {"adapter_config.json", "adapter_model.safetensors"}
    assert tuned.identity["adapter_digest"]
    assert tuned.identity["model_digest"] == loaded.identity["model_digest"]
    assert tuned.identity["adapter"] == str(adapter)


@pytest.mark.parametrize("base", ["../../elsewhere/base", "owner/name", None])
def test_the_base_that_an_adapter_names_is_not_looked_for(folder, adapter_copy, base, monkeypatch, recwarn):
    edit(adapter_copy / "adapter_config.json", base_model_name_or_path=base)
    asked = []
    monkeypatch.setattr(
        "peft.utils.save_and_load.check_file_exists_on_hf_hub", lambda name, *_, **__: asked.append(name)
    )
    load_model(folder, adapter_copy, device="cpu")
    assert not asked
    assert not [str(warning.message) for warning in recwarn if "peft" in warning.filename]


def test_an_adapter_may_bring_its_embeddings(loaded, folder, adapter, tmp_path):
    tuned = load_model(folder, adapter, device="cpu")
    with torch.no_grad():
        tuned.model.get_output_embeddings().weight.mul_(2)
    tuned.model.save_pretrained(tmp_path, save_embedding_layers=True)
    again = load_model(folder, tmp_path, device="cpu")
    assert torch.equal(logits(again), logits(tuned))


def test_dtype_can_be_chosen(folder):
    tuned = load_model(folder, device="cpu", dtype="bfloat16")
    assert {p.dtype for p in tuned.model.parameters()} == {torch.bfloat16}


def test_automatic_dtype(monkeypatch):
    assert pick_dtype("auto", torch.device("cpu")) is torch.float32
    for capable, dtype in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda answer=capable, **_: answer)
        assert pick_dtype("auto", torch.device("cuda")) is dtype


def test_unknown_device_and_dtype_name_the_choices():
    for call in (lambda: pick_device("toaster"), lambda: pick_device("cuda:99"), lambda: pick_dtype("int3", "cpu")):
        with pytest.raises(SettingError, match=r"Use one of: .*(cpu|float32)"):
            call()


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a/b/c", "nowhere"])
def test_a_missing_folder(name):
    with pytest.raises(ModelNotFound, match="no such folder"):
        load_model(name)


def test_a_hub_that_cannot_be_reached(monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(ModelNotFound, match="no network"):
        load_model("owner/name")


def test_a_hub_model_takes_the_same_way(monkeypatch, folder):
    asked = {}

    def fetch(name, allow_patterns):
        asked[name] = allow_patterns
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert load_model("owner/name", device="cpu").identity["model"] == "owner/name"
    assert not any(pattern.endswith((".bin", ".pt", ".py")) for pattern in asked["owner/name"])


def test_an_empty_folder(tmp_path):
    with pytest.raises(ModelNotFound, match=r"config\.json"):
        load_model(tmp_path)


@pytest.mark.skipif(is_timm_available(), reason="timm is installed")
@pytest.mark.parametrize("model_type", ["fast_vlm", "gemma3n", "perception_lm"])
def test_a_tower_that_needs_another_package(copy, model_type):
    AutoConfig.for_model(model_type).to_json_file(copy / "config.json")
    with pytest.raises(MissingPackage, match=rf"{model_type} needs the package timm.*pip install timm"):
        load_model(copy)


def test_a_text_only_model(tmp_path):
    config = LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=9)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(TextOnlyModel, match=r"LLaVA.*docs/models"):
        load_model(tmp_path)


def test_another_family_gets_examples_of_supported_ones(copy):
    edit(copy / "config.json", model_type="kosmos-9")
    with pytest.raises(UnsupportedFamily, match=r"kosmos-9.*LLaVA.*docs/models"):
        load_model(copy)


def test_a_broken_config(copy):
    (copy / "config.json").write_text("[1")
    with pytest.raises(BrokenModel):
        load_model(copy)


def test_pickled_weights_are_refused_by_name(copy):
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(PickleWeights, match=r"pytorch_model\.bin"):
        load_model(copy)


def test_truncated_weights(copy):
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(BrokenModel):
        load_model(copy)


def test_missing_weights_are_not_made_up(copy):
    weights = load_file(copy / "model.safetensors")
    dropped = next(name for name in weights if "q_proj" in name and "language_model" in name)
    del weights[dropped]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IncompleteWeights, match="q_proj"):
        load_model(copy)


def move_template(folder, change=lambda template: template):
    """Move the chat template into tokenizer_config.json, where older checkpoints have it."""
    path, template = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    config = json.loads(path.read_text()) | {"chat_template": change(template.read_text())}
    path.write_text(json.dumps(config))
    template.unlink()


def test_no_chat_template(copy):
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(NoChatTemplate, match=r"no chat template\."):
        load_model(copy)


@pytest.mark.parametrize("named", [False, True])
def test_the_template_of_the_tokenizer_serves_if_the_processor_has_none(copy, named):
    question = sample("s")
    expected = load_model(copy).family.prompt(question)
    move_template(copy, lambda template: [{"name": "default", "template": template}] if named else template)
    assert load_model(copy).family.prompt(question) == expected


@pytest.mark.parametrize("content", ["turn['content']", "turn['content'] + ''"], ids=["lists", "strings"])
def test_a_template_for_text_alone_does_not_serve(copy, content):
    move_template(copy, lambda template: "{% for turn in messages %}{{ " + content + " }}{% endfor %}")
    with pytest.raises(NoChatTemplate, match="that of its tokenizer writes no images"):
        load_model(copy)


def test_no_processor(copy):
    for name in ("processor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (copy / name).unlink()
    with pytest.raises(BrokenModel):
        load_model(copy)


@pytest.mark.parametrize(
    "field",
    [
        {"auto_mapping": {"base_model_class": "X", "parent_library": "evil"}},
        {"megatron_config": {"a": 1}},
        {"custom_modules": {"x": "evil.module"}},
    ],
)
def test_an_adapter_that_names_code_is_refused(folder, adapter_copy, field, monkeypatch):
    edit(adapter_copy / "adapter_config.json", **field)
    monkeypatch.setattr(loading, "load_weights", lambda *_: pytest.fail("the model was loaded before the refusal"))
    with pytest.raises(ForeignCode, match=next(iter(field))):
        load_model(folder, adapter_copy, device="cpu")


def test_an_adapter_of_another_kind(folder, adapter_copy):
    edit(adapter_copy / "adapter_config.json", peft_type="PREFIX_TUNING")
    with pytest.raises(UnsupportedAdapter, match="PREFIX_TUNING"):
        load_model(folder, adapter_copy, device="cpu")


def test_a_pickled_adapter(folder, adapter_copy):
    (adapter_copy / "adapter_model.safetensors").rename(adapter_copy / "adapter_model.bin")
    with pytest.raises(PickleWeights, match=r"adapter_model\.bin"):
        load_model(folder, adapter_copy, device="cpu")


def test_not_an_adapter(folder, tmp_path):
    with pytest.raises(ModelNotFound, match=r"adapter_config\.json"):
        load_model(folder, tmp_path, device="cpu")


@pytest.mark.parametrize("change", ["shape", "missing", "foreign"])
def test_an_adapter_of_another_base(folder, adapter_copy, change):
    path = adapter_copy / "adapter_model.safetensors"
    weights = load_file(path)
    name = min(weights)
    if change == "shape":
        weights[name] = torch.zeros(weights[name].shape[0] + 1, weights[name].shape[1] + 3)
    elif change == "missing":
        del weights[name]
    else:
        weights[name.replace("layers.0", "layers.7").replace("linear_1", "linear_7")] = weights.pop(name)
    save_file(weights, path)
    with pytest.raises(AdapterMismatch):
        load_model(folder, adapter_copy, device="cpu")


def test_an_adapter_for_modules_that_are_not_there(folder, adapter_copy):
    edit(adapter_copy / "adapter_config.json", target_modules=["model.language_model.layers.9.wq"])
    with pytest.raises(AdapterMismatch):
        load_model(folder, adapter_copy, device="cpu")


def earlier_layout(name):
    """The names of transformers before 4.52: the language model and the projector lay beside each other."""
    inner = name.removeprefix("base_model.model.model.")
    return f"base_model.model.{inner.replace('language_model.layers', 'language_model.model.layers')}"


def test_an_adapter_in_an_earlier_layout_gives_the_same_answers(loaded, folder, adapter, adapter_copy):
    path = adapter_copy / "adapter_model.safetensors"
    save_file({earlier_layout(name): tensor for name, tensor in load_file(path).items()}, path)
    old = set(load_file(path))
    assert any(name.startswith("base_model.model.language_model.model.layers.") for name in old)
    assert any(name.startswith("base_model.model.multi_modal_projector.") for name in old)
    found = load_model(folder, adapter_copy, device="cpu")
    assert torch.equal(logits(found), logits(load_model(folder, adapter, device="cpu")))
    assert not torch.equal(logits(found), logits(loaded))


def test_renamed_tensors_are_matched_only_where_one_fits():
    missing = {"a.b.projector.linear_1.lora_A.weight", "a.b.projector.linear_1.lora_B.weight"}
    assert renamed_tensors({"x.projector.linear_1.lora_A.weight"}, missing) == {
        "x.projector.linear_1.lora_A.weight": "a.b.projector.linear_1.lora_A.weight"
    }
    assert renamed_tensors({"x.linear_2.lora_A.weight"}, missing) == {}, "another module"
    twice = {"x.linear_1.lora_A.weight", "y.linear_1.lora_A.weight"}
    assert renamed_tensors(twice, missing) == {}, "two tensors for one place"
    layers = {"m.layers.0.q_proj.lora_A.weight", "m.layers.1.q_proj.lora_A.weight"}
    assert renamed_tensors({"x.layers.7.q_proj.lora_A.weight"}, layers) == {}, "another layer"
    both = {"language.layers.0.q_proj.lora_A.weight", "tower.layers.0.q_proj.lora_A.weight"}
    assert renamed_tensors({"x.layers.0.q_proj.lora_A.weight"}, both) == {}, "two places for one tensor"


def test_a_mapping_that_names_the_class_of_the_model_is_no_foreign_code(folder, adapter, adapter_copy):
    own = type(load_model(folder, device="cpu").model)
    mapping = {"base_model_class": own.__name__, "parent_library": own.__module__}
    edit(adapter_copy / "adapter_config.json", task_type=None, auto_mapping=mapping)
    found = load_model(folder, adapter_copy, device="cpu")
    assert torch.equal(logits(found), logits(load_model(folder, adapter, device="cpu")))
    for wrong in ({"base_model_class": "Other"}, {"parent_library": "evil"}, {"more": 1}):
        edit(adapter_copy / "adapter_config.json", auto_mapping={**mapping, **wrong})
        with pytest.raises(ForeignCode, match="auto_mapping"):
            load_model(folder, adapter_copy, device="cpu")


def test_weights_under_another_name_are_named(folder, adapter_copy):
    (adapter_copy / "adapter_model.safetensors").rename(adapter_copy / "adapters.safetensors")
    with pytest.raises(MisnamedWeights, match=r"has adapters\.safetensors"):
        load_model(folder, adapter_copy, device="cpu")


def test_loha_is_named_with_a_way_out(folder, adapter_copy):
    edit(adapter_copy / "adapter_config.json", peft_type="LOHA")
    with pytest.raises(UnsupportedAdapter, match=r"LOHA.*merge_and_unload.*--tuned-on-this-data"):
        load_model(folder, adapter_copy, device="cpu")


def test_the_parent_of_checkpoints_lists_them(folder, adapter, tmp_path):
    for step in (1000, 200, 9):
        shutil.copytree(adapter, tmp_path / f"run/checkpoint-{step}")
        shutil.copytree(folder, tmp_path / f"models/checkpoint-{step}")
    listed = r"checkpoint-9, checkpoint-200, checkpoint-1000\."
    with pytest.raises(OnlyCheckpoints, match=rf"adapter_config\.json.*{listed}"):
        load_model(folder, tmp_path / "run", device="cpu")
    with pytest.raises(OnlyCheckpoints, match=rf"config\.json.*{listed}"):
        load_model(tmp_path / "models", device="cpu")


def test_an_adapter_given_as_the_model_and_a_file_given_as_a_folder(folder, adapter_copy):
    edit(adapter_copy / "adapter_config.json", base_model_name_or_path="owner/base")
    with pytest.raises(AdapterAsModel, match=r"--adapter.*owner/base.*--model"):
        load_model(adapter_copy, device="cpu")
    with pytest.raises(ModelNotFound, match="it is a file"):
        load_model(folder, adapter_copy / "adapter_model.safetensors", device="cpu")


@pytest.mark.parametrize("model_type", ORIGINAL)
def test_models_that_need_their_authors_code_name_another_model(copy, model_type):
    extra = {VISION_ENTRIES[model_type]: {}} if model_type in VISION_ENTRIES else {}
    edit(copy / "config.json", model_type=model_type, **extra)
    original = ORIGINAL[model_type]
    with pytest.raises(OriginalLayout, match=rf"{model_type}.*code of its authors") as failure:
        load_model(copy)
    for name in (*original.models, original.script, original.newer):
        assert name in failure.value.remedy
    assert failure.value.remedy.startswith("Use ")


def test_other_code_of_authors_is_not_run_either(copy):
    edit(copy / "config.json", model_type="kosmos-9", auto_map={"AutoConfig": "evil.Config"})
    with pytest.raises(OriginalLayout, match=r"kosmos-9.*Use a model that needs no such code: .*docs/models\.md"):
        load_model(copy)


def test_the_first_llava_had_the_type_of_the_native_one(copy):
    edit(copy / "config.json", model_type="llava", mm_vision_tower="openai/clip-vit-large-patch14-336")
    with pytest.raises(OriginalLayout, match=r"llava-hf/llava-1\.5-7b-hf.*convert_llava_weights_to_hf"):
        load_model(copy)


def test_the_text_models_of_a_type_are_text_models(copy):
    edit(copy / "config.json", model_type="qwen", vision_config=None)
    with pytest.raises(TextOnlyModel, match="qwen"):
        load_model(copy)


def test_the_layout_of_mistral_and_meta(copy):
    (copy / "config.json").rename(copy / "params.json")
    with pytest.raises(OriginalLayout, match=r"params\.json.*pixtral-12b.*convert_pixtral"):
        load_model(copy)


def test_a_processor_of_another_model(copy):
    """It writes its own image token, which has another number than the model's."""
    number = json.loads((copy / "config.json").read_text())["image_token_index"]
    edit(copy / "config.json", image_token_index=number + 40)
    with pytest.raises(WrongProcessor, match=f"of type llava: .* no token {number + 40}, "):
        load_model(copy)


@pytest.mark.parametrize(("family", "other"), [("internvl", "qwen2_5_vl"), ("qwen2_5_vl", "internvl")])
def test_a_processor_of_another_family(tmp_path, family, other):
    """The tiny families give their image tokens equal numbers; the arrangement of the image tokens differs."""
    tiny = tiny_models()
    folder = tiny[family].save(tmp_path)
    tiny[other].processor().save_pretrained(folder)
    with pytest.raises(WrongProcessor, match=rf"type {family}: \w+Processor does not prepare"):
        load_model(folder)


def test_a_folder_without_a_tokenizer(copy):
    """Without its files, transformers makes an empty tokenizer."""
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer.model").write_bytes(b"pieces")
    with pytest.raises(NoTokenizerFile, match=r"no tokenizer\.json, only tokenizer\.model, .*sentencepiece tiktoken"):
        load_model(copy)
    (copy / "tokenizer.model").unlink()
    with pytest.raises(NoTokenizerFile, match=r"holds no tokenizer\.json\."):
        load_model(copy)


def test_a_processor_with_code_is_not_run(copy):
    edit(copy / "processor_config.json", processor_class="Own", auto_map={"AutoProcessor": "own.Own"})
    with pytest.raises(ProcessorCode, match="without auto_map"):
        load_model(copy)


@pytest.mark.parametrize("name", ["config.json", "processor_config.json"])
def test_a_damaged_file_is_named(copy, name):
    (copy / name).write_text("{")
    with pytest.raises(BrokenModel, match=rf": {name} is damaged: .*line 1"):
        load_model(copy)


def test_a_folder_without_an_image_processor(copy):
    (copy / "processor_config.json").unlink()
    with pytest.raises(BrokenModel, match=r"processor_config\.json and preprocessor_config\.json are missing\."):
        load_model(copy)
