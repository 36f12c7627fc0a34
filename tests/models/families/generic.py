"""Tiny models of types that only the generic family describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transformers import AutoConfig, CLIPImageProcessor, LlavaProcessor, PretrainedConfig
from transformers.models.aria import AriaProcessor
from transformers.models.aria.image_processing_pil_aria import AriaImageProcessorPil
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.models.aya_vision import AyaVisionProcessor
from transformers.models.cohere2_vision import Cohere2VisionProcessor
from transformers.models.deepseek_vl import DeepseekVLProcessor
from transformers.models.deepseek_vl.image_processing_pil_deepseek_vl import DeepseekVLImageProcessorPil
from transformers.models.deepseek_vl_hybrid import DeepseekVLHybridProcessor
from transformers.models.deepseek_vl_hybrid.image_processing_pil_deepseek_vl_hybrid import (
    DeepseekVLHybridImageProcessorPil,
)
from transformers.models.got_ocr2 import GotOcr2Processor
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics2 import Idefics2Processor
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil
from transformers.models.janus import JanusProcessor
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil
from transformers.models.lighton_ocr import LightOnOcrProcessor
from transformers.models.ovis2 import Ovis2Processor
from transformers.models.ovis2.image_processing_pil_ovis2 import Ovis2ImageProcessorPil
from transformers.models.paddleocr_vl import PaddleOCRVLProcessor
from transformers.models.paddleocr_vl.image_processing_pil_paddleocr_vl import PaddleOCRVLImageProcessorPil
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil
from transformers.models.qianfan_ocr import QianfanOCRProcessor

from bye_core.models.processors import without_video
from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

IMAGE = 3  # the first of the special tokens of each tokenizer
TEMPLATE = (
    "{% for m in messages %}{{ '<turn>' + m['role'] + '\n' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ 'MARKER' }}{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '</turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<turn>assistant\n' }}{% endif %}"
)
DECODER = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 1024,
    "initializer_range": 0.3, "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS,
}  # fmt: skip
TOWER = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "initializer_range": 0.05,
}  # fmt: skip


def config(model_type: str, vision: dict[str, Any], text: dict[str, Any] | None = None, **own: Any) -> PretrainedConfig:
    image = {} if "image_token_index" in own or "image_token_id" in own else {"image_token_id": IMAGE}
    return AutoConfig.for_model(
        model_type, vision_config={**TOWER, **vision}, text_config={**DECODER, **(text or {})}, **image, **own
    )


def tokenizer(*special: str, **names: str) -> Any:
    return tiny_tokenizer(*special, "<turn>", "</turn>", names=names)


def template(marker: str) -> str:
    return TEMPLATE.replace("MARKER", marker)


def vipllava() -> LlavaProcessor:
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 20}, crop_size={"height": 20, "width": 20}),
        tokenizer=tokenizer("<image>", image_token="<image>"),
        patch_size=4, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template("<image>"),
    )  # fmt: skip


def square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def aya_vision() -> AyaVisionProcessor:
    return AyaVisionProcessor(
        image_processor=GotOcr2ImageProcessorPil(size=square(24), crop_to_patches=True, min_patches=1, max_patches=6),
        tokenizer=tokenizer("<|IMG_PATCH|>", "<image>", "<|START_OF_IMG|>", "<|END_OF_IMG|>"),
        patch_size=4, img_size=24, downsample_factor=2, chat_template=template("<image>"),
    )  # fmt: skip


def cohere2_vision() -> Cohere2VisionProcessor:
    tokens = tokenizer(
        "<|IMG_PATCH|>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_LINE_BREAK|>", image_token="<|IMG_PATCH|>",
        boi_token="<|START_OF_IMG|>", eoi_token="<|END_OF_IMG|>", img_line_break_token="<|IMG_LINE_BREAK|>",
    )  # fmt: skip
    # The processor of this type needs torchvision; it cuts tiles as GOT-OCR2's does. `patch_size`: tokens a tile.
    images = GotOcr2ImageProcessorPil(size=square(24), crop_to_patches=True, min_patches=1, max_patches=6, patch_size=3)
    return Cohere2VisionProcessor(images, tokens, chat_template=template("<|IMG_PATCH|>"))


def ovis2() -> Ovis2Processor:
    images = Ovis2ImageProcessorPil(size=square(24), crop_to_patches=True, min_patches=1, max_patches=6)
    layout = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    tokens = tokenizer("<IMG_ATOM>", *layout, "<image>")
    return Ovis2Processor(images, tokens, image_seq_length=9, chat_template=template("<image>"))


def got_ocr2() -> GotOcr2Processor:
    tokens = tokenizer("<imgpad>", "<img>", "</img>")
    return GotOcr2Processor(
        GotOcr2ImageProcessorPil(size=square(256)),
        tokens,
        chat_template=template("<img><imgpad></img>"),
    )


def deepseek_vl() -> DeepseekVLProcessor:
    return DeepseekVLProcessor(
        DeepseekVLImageProcessorPil(size=square(20), min_size=4),
        tokenizer("<image_placeholder>", image_token="<image_placeholder>"),
        chat_template=template("<image_placeholder>"), num_image_tokens=25,
    )  # fmt: skip


def aria() -> AriaProcessor:
    return AriaProcessor(
        AriaImageProcessorPil(),
        tokenizer("<|img|>", image_token="<|img|>"), chat_template=template("<|img|>"), size_conversion={980: 8},
    )  # fmt: skip


def deepseek_vl_hybrid() -> DeepseekVLHybridProcessor:
    return DeepseekVLHybridProcessor(
        DeepseekVLHybridImageProcessorPil(size=square(20), min_size=4, high_res_size=square(64)),
        tokenizer("<image_placeholder>", image_token="<image_placeholder>"),
        chat_template=template("<image_placeholder>"), num_image_tokens=25,
    )  # fmt: skip


def janus() -> JanusProcessor:
    tokens = tokenizer(
        "<image_placeholder>", "<begin_of_image>", "<end_of_image>",
        image_token="<image_placeholder>", boi_token="<begin_of_image>", eoi_token="<end_of_image>",
    )  # fmt: skip
    images = JanusImageProcessorPil(size=square(20), min_size=4)
    return JanusProcessor(images, tokens, chat_template=template("<image_placeholder>"), num_image_tokens=25)


def lighton_ocr() -> LightOnOcrProcessor:
    tokens = tokenizer(
        "<|image_pad|>", "<|vision_pad|>", "<|vision_end|>",
        image_token="<|image_pad|>", image_break_token="<|vision_pad|>", image_end_token="<|vision_end|>",
    )  # fmt: skip
    images = PixtralImageProcessorPil(size={"longest_edge": 48}, patch_size={"height": 8, "width": 8})
    return LightOnOcrProcessor(
        images, tokens, patch_size=4, spatial_merge_size=2, chat_template=template("<|image_pad|>")
    )


def paddleocr_vl() -> PaddleOCRVLProcessor:
    images = PaddleOCRVLImageProcessorPil(size={"shortest_edge": 256, "longest_edge": 1600}, patch_size=4, merge_size=2)
    tokens = tokenizer("<|IMAGE_PLACEHOLDER|>", "<|IMAGE_START|>", "<|IMAGE_END|>", image_token="<|IMAGE_PLACEHOLDER|>")
    marker = "<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>"
    return PaddleOCRVLProcessor(images, tokens, chat_template=template(marker))


def idefics2() -> Idefics2Processor:
    tokens = tokenizer(
        "<image>", "<fake_token_around_image>", "<end_of_utterance>",
        image_token="<image>", image_boundary_token="<fake_token_around_image>",
    )  # fmt: skip
    images = Idefics2ImageProcessorPil(size={"shortest_edge": 16, "longest_edge": 32})
    return Idefics2Processor(images, tokens, image_seq_len=8, chat_template=template("<image>"))


def qianfan_ocr() -> QianfanOCRProcessor:
    tokens = tokenizer(
        "<IMG_CONTEXT>", "<img>", "</img>", "<image>",
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>",
    )  # fmt: skip
    images = GotOcr2ImageProcessorPil(size=square(24), crop_to_patches=True, min_patches=1, max_patches=6)
    return QianfanOCRProcessor(images, tokens, image_seq_length=9, chat_template=template("<image>"))


def perception_lm() -> Any:
    from transformers import PerceptionLMImageProcessor, PerceptionLMProcessor  # need torchvision

    names = {"image_token": "<|image|>", "video_token": "<|video|>"}
    return without_video(PerceptionLMProcessor)(
        image_processor=PerceptionLMImageProcessor(size=square(24), tile_size=24, max_num_tiles=4),
        tokenizer=tokenizer(*names.values(), **names),
        patch_size=4, pooling_ratio=2, chat_template=template("<|image|>"),
    )  # fmt: skip


def timm_tower(architecture: str, **arguments: Any) -> dict[str, Any]:
    """Return the vision config of a tower from the package timm, which needs torchvision."""
    return {"model_type": "timm_wrapper", "architecture": architecture, "model_args": arguments, "do_pooling": False}


SIGLIP = {"model_type": "siglip_vision_model", "patch_size": 4, "vision_use_head": False}
SAM = {
    "patch_size": 4, "output_channels": 16, "window_size": 4, "global_attn_indexes": [], "mlp_dim": 48,
}  # fmt: skip
HIGH_RESOLUTION = {"image_size": 64, "global_attn_indexes": [1]}
LLAMA, QWEN2, QWEN3 = {"model_type": "llama"}, {"model_type": "qwen2"}, {"model_type": "qwen3"}
ONE = {shape: [(5, 5, 0)] for shape in ("wide", "tall", "square")}
NO_GRID: dict[str, list] = {shape: [] for shape in ONE}
# Tiles of 3 x 3 tokens; the overview follows them, or comes before them.
LAST = {"wide": [(3, 3, 9 * n) for n in range(3)], "tall": [(3, 3, 9 * n) for n in range(3)]}
LAST["square"] = [(3, 3, 9 * n) for n in range(5)]
FIRST = {shape: [(3, 3, 9 * n) for n in (1, 2, 3, 4, 5, 6, 0)] for shape in ("wide", "tall")}
FIRST["square"] = [(3, 3, 9 * n) for n in (1, 2, 3, 4, 0)]
FIRST_OF_FEW = {**{shape: [(3, 3, 9 * n) for n in (1, 2, 0)] for shape in ("wide", "tall")}, "square": FIRST["square"]}


def tiny(
    processor: Callable[[], Any],
    vision: dict[str, Any],
    text: dict[str, Any],
    image: Sequence[str | int],
    grids: Mapping[str, Sequence[tuple[int, int, int]]],
    own: dict[str, Any] | None = None,
    layers: tuple[int, ...] = (0, 1),
    **facts: Any,
) -> TinyModel:
    """Return the tiny model of the type named like `processor`.

    `image`: what its prompt holds for an image of 26 x 22 pixels: layout tokens, and numbers of image tokens.
    """
    model_type = processor.__name__
    before, *others = image if isinstance(image[0], str) else ("", *image)
    runs = [("S", f"<s><turn>system\nbe kind</turn>\n<turn>user\n{before}".strip())]
    runs += [("I", part) if isinstance(part, int) else ("S", part) for part in others]
    if processor is idefics2:  # its processor reports no replacements, so its layout tokens are known as such
        runs[0:3] = [("S", runs[0][1].removesuffix(f"\n{before}")), ("L", before), runs[1], ("L", before)]
    runs += [("Q", "what colour is the cat ?"), ("S", "</turn>\n<turn>assistant")]

    def built(**options: Any) -> PretrainedConfig:
        return config(model_type, vision, {**text, **options}, **(own or {}))

    model = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(AutoConfig.for_model(model_type))]
    learned = ("it is red</turn>", "how many dogs</turn>")
    return TinyModel(model_type, model, built, processor, runs, layers, grids, learned=learned, **facts)


TINY = (
    tiny(
        vipllava, {"model_type": "clip_vision_model", "image_size": 20, "patch_size": 4, "projection_dim": 32}, LLAMA,
        [25], ONE, {"vision_feature_layer": [-2, -1], "image_seq_length": 25},
    ),
    tiny(
        aya_vision, {**SIGLIP, "image_size": 24},
        {"model_type": "cohere2", "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
        ["<|START_OF_IMG|>TILE_GLOBAL", 9, "<|END_OF_IMG|>"], LAST,
        # The image is outside the window of the first layer.
        {"alignment_intermediate_size": 32}, layers=(1,),
    ),
    tiny(
        cohere2_vision, {**SIGLIP, "image_size": 24}, {"model_type": "cohere2"},
        ["<|START_OF_IMG|>", 9, "<|IMG_LINE_BREAK|><|END_OF_IMG|>"], LAST,
        {"alignment_intermediate_size": 32},
    ),
    tiny(
        ovis2,
        {
            "image_size": 24, "patch_size": 4, "hidden_stride": 2, "vocab_size": 64, "tokenize_function": "softmax",
            "initializer_range": 0.1, "num_hidden_layers": 1,
        },
        QWEN2, ["<IMG_START>", 9, "<IMG_GRID>", 9, "<IMG_ROW>", 9, "<IMG_END>"], FIRST,
        {"visual_indicator_token_ids": (4, 5, 6, 7, 8), "hidden_size": 32, "vocab_size": VOCABULARY}, near=1,
    ),
    tiny(
        got_ocr2, {**SAM, "image_size": 256, "num_hidden_layers": 1}, QWEN2, ["<img>", 256, "</img>"],
        {shape: [(16, 16, 0)] for shape in ONE}, near=1,
    ),
    tiny(deepseek_vl, {**SIGLIP, "image_size": 20, "num_hidden_layers": 1}, LLAMA, [25], ONE, near=1),
    tiny(
        deepseek_vl_hybrid, {**SIGLIP, "image_size": 20}, LLAMA, [25], ONE,
        {"high_res_vision_config": {**TOWER, **SAM, "model_type": "sam_vision_model", **HIGH_RESOLUTION}}, near=1,
    ),
    tiny(
        janus, {"image_size": 20, "patch_size": 4, "projection_dim": 32, "num_image_tokens": 25, "depth": 2}, LLAMA,
        ["<begin_of_image>", 25, "<end_of_image>"], ONE,
        {
            "vq_config": {
                "embed_dim": 8, "num_embeddings": 16, "latent_channels": 32, "base_channels": 32,
                "channel_multiplier": [1, 1], "num_res_blocks": 1, "projection_dim": 32, "image_token_embed_dim": 32,
            }
        },
    ),
    tiny(
        lighton_ocr, {"model_type": "pixtral", "image_size": 48, "patch_size": 4, "head_dim": 8}, QWEN3, [12],
        {"wide": [(3, 6, 0)], "tall": [(6, 3, 0)], "square": [(6, 6, 0)]}, near=1,
    ),
    tiny(
        paddleocr_vl, {"image_size": 24, "patch_size": 4},
        {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}},
        ["<|IMAGE_START|>", 9, "<|IMAGE_END|>"], {"wide": [(3, 7, 0)], "tall": [(7, 3, 0)], "square": [(5, 5, 0)]},
        {"vision_start_token_id": 4, "vision_end_token_id": 5, "video_token_id": 352},
    ),
    tiny(
        idefics2, {"image_size": 32, "patch_size": 8}, {"model_type": "mistral"},
        ["<fake_token_around_image>", 8, "<fake_token_around_image>"], NO_GRID,
        {
            "perceiver_config": {
                "hidden_size": 32, "resampler_n_latents": 8, "resampler_depth": 1, "resampler_n_heads": 2,
                "resampler_head_dim": 16, "num_key_value_heads": 2,
            }
        },
    ),
    tiny(
        qianfan_ocr, {"image_size": 24, "patch_size": 4, "layer_scale_init_value": 1.0}, QWEN3, ["<img>", 9, "</img>"],
        LAST, {"image_seq_length": 9},
    ),
    tiny(
        aria, {"model_type": "idefics3_vision", "image_size": 980, "patch_size": 140},
        {"moe_num_experts": 4, "moe_topk": 2, "moe_num_shared_experts": 1}, [8], NO_GRID,
        {"projector_patch_to_query_dict": {49: 8}},
    ),
    tiny(
        perception_lm,
        timm_tower(
            "vit_pe_core_large_patch14_336", embed_dim=32, img_size=(24, 24), patch_size=4, depth=2, num_heads=4,
            global_pool="", use_post_transformer_norm=False, init_values=0.1, ref_feat_shape=(6, 6),
        ),
        LLAMA, [45], FIRST_OF_FEW, {"projector_pooling_ratio": 2}, near=1, package="timm",
    ),
)  # fmt: skip
