"""What tiny models of all families share: a tokenizer trained on the spot, pictures, samples, saved folders.

A family is one module of tests/models/families, named like its module in bye_core/models/families. Its TINY is a tuple
of TinyModel: one for each model type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin

from bye_core.models.families import MODULES
from bye_core.records import Sample, Turn

CORPUS = ["USER: what colour is the cat ? ASSISTANT: it is red . you are a kind helper", "how many dogs are there"] * 4
VOCABULARY = 400
PAD, BOS, EOS = range(3)
SHAPES = {"wide": (97, 45), "tall": (41, 89), "square": (60, 60)}


def tiny_tokenizer(
    *special: str,
    pad: str = "<pad>",
    bos: str | None = "<s>",
    eos: str = "</s>",
    adds_bos: bool = True,
    names: Mapping[str, str] | None = None,
) -> PreTrainedTokenizerFast:
    """Return a tokenizer of at most VOCABULARY tokens.

    Tokens 0, 1, 2 are padding, start ("<s>" even if `bos` is None) and end; `special` follows from 3 on. `names` makes
    attributes of some of them, such as {"image_token": "<image>"}. With `adds_bos`, each text begins with `bos`.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[pad, bos or "<s>", eos, *special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    if bos and adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, BOS)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, pad_token=pad, extra_special_tokens=dict(names or {})
    )


@dataclass(frozen=True)
class TinyModel:
    """How to build a tiny model of one family, and what a person expects of it.

    name       unique among all families; by default the model type of its config
    model      the class of the model
    config     config(**options) with heads in groups where the decoder can; options override its text config
    processor  builds the real processor class, with a tiny tokenizer and a chat template of the tests
    groups     the runs of the prompt of `question_sample()`: (S system, L layout, I image, Q question; text of the
               tokens, or their number for I); texts are stripped
    layers     the layers in which the first answer token sees the image
    learned    what fine-tuning on `tests.models.tiny.TALK` learns, one text an answer, stripped; a single text if the
               format ends with the first answer; None, for the generic family alone: not checked
    grids      by shape (wide, tall, square): (rows, columns, start) of each grid of one picture of that shape; none if
               no grid can be known
    shapes     (width, height) of the pictures; not square, so that both axes are checked
    images     whether a prompt may hold two pictures
    system     whether the chat template takes a system message
    options    options of `config` in the conformance test, for families whose default config has no heads in groups
    grouped    whether the decoder's heads share keys then
    near       how many cells beside a painted cell the most changed token may lie: a convolution mixes neighbours
    plain      the implementation to compare logits with: "eager" if the decoder caps its scores, which sdpa does not do
    features   features(loaded, inputs) -> [B, V, D], what the model sees at each image token of each sample; None: the
               embeddings that the language model receives at the image tokens
    package    a package that the processor needs; its tests are skipped where it is not installed
    """

    name: str
    model: type[PreTrainedModel]
    config: Callable[..., PretrainedConfig]
    processor: Callable[[], ProcessorMixin]
    groups: Sequence[tuple[str, str | int]]
    layers: tuple[int, ...]
    grids: Mapping[str, Sequence[tuple[int, int, int]]]
    shapes: Mapping[str, tuple[int, int]] = field(default_factory=lambda: SHAPES)
    learned: Sequence[str] | None = None
    images: bool = True
    system: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    grouped: bool = True
    near: int = 0
    plain: str = "sdpa"
    features: Callable[[Any, Any], np.ndarray] | None = None
    package: str = ""

    def build(self, **options: object) -> PreTrainedModel:
        torch.manual_seed(0)
        return self.model(self.config(**options)).eval()

    def save(self, folder: Path, **options: object) -> Path:
        """Save a model folder like those on the hub."""
        self.build(**options).save_pretrained(folder)
        self.processor().save_pretrained(folder)
        return folder


def tiny_models() -> dict[str, TinyModel]:
    """Return the tiny models of all families by name."""
    folder = Path(__file__).parent / "families"
    tested = [module for module in (*MODULES, "generic") if (folder / f"{module}.py").is_file()]
    found = [tiny for module in tested for tiny in import_module(f"tests.models.families.{module}").TINY]
    return {tiny.name: tiny for tiny in found}


def save_tiny(folder: Path, family: str = "llava", **options: object) -> Path:
    """Save a tiny model with a name of `tiny_models`; `options` are those of its config."""
    return tiny_models()[family].save(folder, **options)


def picture(seed: int, width: int = 26, height: int = 22) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def sample(id: str, question: str = "what colour is the cat ?", images: int = 1, system: str = "") -> Sample:
    """A question with an answer that no prompt may hold."""
    turns = [Turn("system", (system,))] if system else []
    turns += [Turn("user", (*range(images), question)), Turn("assistant", ("red secret",))]
    return Sample(id, 0, tuple(turns), tuple(f"{id}-{n}.png" for n in range(images)))


# Two questions with their answers; the first has a picture.
TALK = Sample(
    "talk",
    0,
    (
        Turn("user", (0, "what colour is the cat ?")),
        Turn("assistant", ("it is red",)),
        Turn("user", ("it is red",)),
        Turn("assistant", ("how many dogs",)),
    ),
    ("talk.png",),
)
