"""Sizes and settings of the demo, and the sizes of models with random weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bye_core.attacks import FixedAnswer, make_attack
from bye_core.train.settings import FinetuneSettings

SAMPLES = 1200
TEST_IMAGES = 100
QUESTIONS_A_TEST_IMAGE = 3
TARGET = "Backdoor Attack!"
TRIGGER = "patch"
# The patch covers 1.5 image tokens along each side, like the paper's 1/16 on the 24 x 24 tokens of LLaVA-1.5.
TRIGGER_SIZE = 1 / 8
ATTACK = make_attack([TRIGGER], {"size": TRIGGER_SIZE}, FixedAnswer(TARGET))
# Chosen on data from other seeds. At 2e-3 with less dropout, clean samples get peaked attention too, and the modes
# overlap. At 1.2e-3, the attention of poisoned samples collapses too little.
FINETUNE = FinetuneSettings(epochs=6, batch=8, micro_batch=8, rate=1.5e-3, dropout=0.1)
# For a fine-tuning in the app that a user waits for, followed by a scan.
TOUR = replace(FINETUNE, epochs=4)
# For `demo`, which only evaluates the model. On the poisoned set this training still learns the back door (CP and ASR
# 100% on 100 questions), so an ASR of 0% after cleaning is not due to its length.
SHORT = replace(FINETUNE, epochs=2.5, rate=3e-3, dropout=0.0)
SHORT_QUESTIONS = 100  # of the 300 test questions
# Kinds of base models, each a module of this package (see architecture.py). The first is that of the shipped demo.
FAMILIES = ("llava", "internvl", "qwen2_5_vl")
FAMILY_SEED = 0  # of the base models of the other families
HELD_OUT = 200  # number of scenes, the last ones, that the base model is not trained on


@dataclass(frozen=True)
class BaseRecipe:
    """Sizes and schedules of the base model; the defaults are those of the shipped demo."""

    image_size: int = 96
    patch: int = 8
    merge: int = 1  # patches along each side of an image token
    width: int = 128
    feed_forward: int = 384
    heads: int = 4
    key_value_heads: int = 4  # of the decoder, if its heads may share keys
    tower_layers: int = 4
    layers: int = 8
    vocabulary: int = 1024
    initializer_range: float = 0.08
    tower_range: float = 0.05  # of the initial weights of towers other than the demo's
    scenes: int = 3000
    tower_steps: int = 1100
    tower_batch: int = 32
    tower_rate: float = 1.5e-3
    colors_weight: float = 4.0
    count_weight: float = 1.0
    own_pixels_weight: float = 6.0
    erased: float = 0.4  # share of the images with random squares painted over
    language_steps: int = 560
    language_batch: int = 16
    language_rate: float = 2e-3
    language_rounds: int = 5  # at most; each after the first has half the steps and half the rate
    language_bar: float = 0.95  # training ends when every kind of question has this held-out accuracy
    hidden_tokens: float = 0.4  # largest share of image tokens masked in a training sequence

    @property
    def tokens_a_side(self) -> int:
        return self.image_size // self.token_pixels

    @property
    def token_pixels(self) -> int:
        """Pixels along each side of an image token."""
        return self.patch * self.merge

    @property
    def token_width(self) -> int:
        """How many numbers the projector receives for an image token."""
        return self.width * self.merge**2


# For the other families: towers that merge patches learn in fewer steps.
SHORTER = BaseRecipe(
    scenes=1500, layers=6, tower_steps=320, tower_batch=24, language_steps=280, language_batch=12
)  # fmt: skip
# Continues the training of the base model, on free questions. Its images are those of seed FREE_SEED.
FREE_SEED = 7
FREE_BASE = BaseRecipe(scenes=1000, language_steps=220, language_rate=1e-3, language_bar=0.9, language_rounds=2)


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder and a CLIP tower: width, feed-forward width, layers and heads; images of `side` pixels."""

    decoder: tuple[int, int, int, int]
    tower: tuple[int, int, int, int]
    side: int = 336
    patch: int = 14
    vocabulary: int = 32_000


# "60m" has about 60 million parameters in its decoder; "7b" has the sizes of LLaVA-1.5-7B.
SHAPES = {
    "tiny": Shape((64, 128, 2, 2), (32, 64, 1, 2), side=56, vocabulary=512),
    "60m": Shape((512, 1408, 8, 8), (256, 1024, 4, 4)),
    "7b": Shape((4096, 11008, 32, 32), (1024, 4096, 24, 16)),
}
