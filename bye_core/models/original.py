"""Model types whose checkpoints need the code of their authors, and the same models in the layout of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bye_core.models.errors import EXAMPLES

SCRIPTS = "src/transformers/models"  # of https://github.com/huggingface/transformers


@dataclass(frozen=True)
class Original:
    """What to use in place of a checkpoint in its original form.

    models   ids of the same models on the hub in the layout of transformers; empty if there is none
    script   script of the repository of transformers that converts own weights; "" if there is none
    newer    id of a newer model of the same authors that transformers knows
    """

    models: tuple[str, ...] = ()
    script: str = ""
    newer: str = ""


# By `model_type` in config.json, as the repositories of the authors write it.
ORIGINAL: dict[str, Original] = {
    "llava_llama": Original(
        ("llava-hf/llava-1.5-7b-hf", "llava-hf/llava-v1.6-vicuna-7b-hf"), "llava/convert_llava_weights_to_hf.py"
    ),
    "llava_mistral": Original(("llava-hf/llava-v1.6-mistral-7b-hf",), "llava_next/convert_llava_next_weights_to_hf.py"),
    "llava_qwen": Original(
        ("llava-hf/llava-onevision-qwen2-7b-ov-hf",), "llava_onevision/convert_llava_onevision_weights_to_hf.py"
    ),
    "llava_qwen2": Original(script="fast_vlm/convert_fastvlm_weights_to_hf.py"),
    "internvl_chat": Original(("OpenGVLab/InternVL3-8B-hf",), "internvl/convert_internvl_weights_to_hf.py"),
    "multi_modality": Original(
        ("deepseek-community/deepseek-vl-7b-chat", "deepseek-community/Janus-Pro-1B"),
        "deepseek_vl/convert_deepseek_vl_weights_to_hf.py",
    ),
    "deepseek_vl_v2": Original(newer="deepseek-community/DeepSeek-OCR-2"),
    "ovis": Original(("thisisiron/Ovis2-1B-hf",), "ovis2/convert_ovis2_weights_to_hf.py"),
    "GOT": Original(("stepfun-ai/GOT-OCR-2.0-hf",), "got_ocr2/convert_got_ocr2_weights_to_hf.py"),
    "qwen": Original(newer="Qwen/Qwen2.5-VL-7B-Instruct"),
    "chatglm": Original(newer="zai-org/GLM-4.1V-9B-Thinking"),
    "minicpmv": Original(newer="openbmb/MiniCPM-V-4.6"),
    "minicpmo": Original(newer="openbmb/MiniCPM-V-4.6"),
    "molmo": Original(newer="allenai/Molmo2-8B"),
    "kimi_vl": Original(newer="moonshotai/Kimi-K2.6"),
    "phi3_v": Original(),
    "phi4mm": Original(),
    "cogvlm": Original(),
    "moondream1": Original(),
    "NVLM_D": Original(),
    "h2ovl_chat": Original(),
    "mplug_owl2": Original(),
    "mplugowl3": Original(),
    "internlmxcomposer2": Original(),
}
# Types that text models have, too: the entry of config.json that only the vision-language model has.
VISION_ENTRIES = {"qwen": "visual", "chatglm": "vision_config"}
# The file of a model in the layout of Mistral or Meta, and what to use instead.
PARAMETERS_FILE = "params.json"
PARAMETERS = Original(("mistral-community/pixtral-12b",), "pixtral/convert_pixtral_weights_to_hf.py")


def original_layout(config: Mapping[str, Any], known: bool) -> Original | None:
    """Return what to use in place of a model with this config.json; None if it needs no code of its authors.

    `known`: whether transformers knows its `model_type`.
    """
    model_type = str(config.get("model_type"))
    if "mm_vision_tower" in config:  # the authors' LLaVA, whose type was "llava" at first
        return ORIGINAL.get(model_type, ORIGINAL["llava_llama"])
    if known:
        return None
    if config.get(VISION_ENTRIES.get(model_type, "model_type")) is None:
        return None
    return ORIGINAL.get(model_type, Original() if config.get("auto_map") else None)


def advice(original: Original) -> str:
    """Return what to do instead, as an imperative sentence."""
    if original.models:
        first = f"Use {' or '.join(original.models)}, the same model in the layout of transformers"
    elif original.script:
        first = "Use the same model in the layout of transformers"
    elif original.newer:
        return f"Use {original.newer}, a newer model of the same authors that needs no such code."
    else:
        return f"Use a model that needs no such code: {EXAMPLES}."
    if not original.script:
        return f"{first}."
    return f"{first}, or convert your weights with {SCRIPTS}/{original.script} of the repository of transformers."
