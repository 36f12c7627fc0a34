"""Makes LLaVA models of named sizes with random weights, to measure speed and memory without a download."""

from __future__ import annotations

from dataclasses import replace

import torch
from peft import LoraConfig, get_peft_model
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from bye_core.demo.llava import ARCHITECTURE
from bye_core.demo.recipe import SHAPES
from bye_core.models.families.llava import Llava
from bye_core.models.loading import LoadedModel, pick_device, pick_dtype

LORA_RANK = 16
WORDS = "what colour is the object in the middle of this picture ? it is a large red square with a small blue dot ."


def random_model(name: str, device: str = "auto", dtype: str = "auto", adapter: bool = True) -> LoadedModel:
    """Return a LLaVA of a shape in SHAPES with random weights; with `adapter`, also with a random LoRA adapter."""
    shape, target = SHAPES[name], pick_device(device)
    number_type = pick_dtype(dtype, target)
    recipe = replace(ARCHITECTURE.recipe, image_size=shape.side, patch=shape.patch, vocabulary=400)
    tokenizer = ARCHITECTURE.make_tokenizer(iter([WORDS] * 4), recipe)
    processor = ARCHITECTURE.make_processor(tokenizer, recipe)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_sizes(shape.tower), image_size=shape.side, patch_size=shape.patch),
        text_config=LlamaConfig(
            **_sizes(shape.decoder), vocab_size=shape.vocabulary, max_position_embeddings=8192, pad_token_id=0
        ),
        image_token_index=tokenizer.convert_tokens_to_ids(ARCHITECTURE.image_token),
        vision_feature_select_strategy="default",
        image_seq_length=(shape.side // shape.patch) ** 2,
    )
    torch.manual_seed(0)
    default = torch.get_default_dtype()
    torch.set_default_dtype(number_type)  # a copy in fp32 of the largest shape may not fit into memory
    try:
        with target:
            model: torch.nn.Module = LlavaForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(default)
    family = Llava(processor, config)
    if adapter:
        model = _with_adapter(model, family)
    model.to(target).eval().requires_grad_(False)
    identity = {"name": name, "model_digest": name, "adapter_digest": "random" if adapter else None}
    return LoadedModel(model, processor, family, target, number_type, identity)


def _sizes(sizes: tuple[int, int, int, int]) -> dict[str, int]:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    return dict(zip(names, sizes, strict=True))


def _with_adapter(model: torch.nn.Module, family: Llava) -> torch.nn.Module:
    targets = family.lora_targets(model)
    tuned = get_peft_model(model, LoraConfig(r=LORA_RANK, target_modules=targets, task_type="CAUSAL_LM"))  # type: ignore[arg-type]
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:  # zero at first: the adapter would change nothing
            torch.nn.init.normal_(weight, std=0.01)
    return tuned
