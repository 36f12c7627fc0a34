"""What the attention capture is compared with: a plain forward pass, and the way of the authors' code of BYE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from bye_core.model_protocol import Images, VisionLanguageModel
from bye_core.records import Sample


def plain_pass(loaded: VisionLanguageModel, samples: Sequence[Sample], images: Sequence[Images]) -> list[int]:
    """Return the first answer token of each sample, from one forward pass over the questions without capture."""
    inputs = loaded.family.encode_questions(samples, images).to(loaded.device, loaded.dtype)
    with torch.inference_mode():
        logits = loaded.model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1]
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    return tokens


def authors_way(loaded: VisionLanguageModel, samples: Sequence[Sample], images: Sequence[Images]) -> list[np.ndarray]:
    """Return the entropy of the head-mean row of each layer [L], sample by sample, as the authors' code computes it.

    It generates one token with eager attention and keeps the attention of all positions in all layers
    (arXiv 2505.16916).
    """
    before = loaded.base.config.get_text_config()._attn_implementation
    loaded.base.set_attn_implementation({"text_config": "eager"})
    try:
        return [_entropies(loaded, sample, own) for sample, own in zip(samples, images, strict=True)]
    finally:
        loaded.base.set_attn_implementation({"text_config": before})


def _entropies(loaded: VisionLanguageModel, sample: Sample, images: Images) -> np.ndarray:
    inputs = loaded.family.encode_questions([sample], [images]).to(loaded.device, loaded.dtype)
    tokenizer = loaded.processor.tokenizer
    with torch.inference_mode():
        output = loaded.model.generate(
            **inputs,
            max_new_tokens=1,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
            output_attentions=True,
            return_dict_in_generate=True,
        )
        image = inputs["input_ids"][0] == loaded.family.config.image_token_id
        rows = torch.stack([layer[0, :, -1, image].float().mean(dim=0) for layer in output.attentions[0]])  # [L, V]
        entropies: np.ndarray = torch.special.entr(rows / rows.sum(dim=-1, keepdim=True)).sum(dim=-1).cpu().numpy()
    return entropies
