"""The demo's sizes and settings, shared by its making and its tour."""

from dataclasses import replace

from bye_core.attacks import FixedAnswer, make_attack
from bye_core.train.settings import FinetuneSettings

SAMPLES = 1200
TEST_PICTURES = 100
QUESTIONS_A_TEST_PICTURE = 3
TARGET = "Backdoor Attack!"
TRIGGER = "patch"
# 1.5 image tokens a side, as the paper's 1/16 is on LLaVA-1.5's 24 x 24 tokens.
TRIGGER_SIZE = 1 / 8
ATTACK = make_attack([TRIGGER], {"size": TRIGGER_SIZE}, FixedAnswer(TARGET))
# Chosen on data of other seeds than the demo's: at 2e-3 with less dropout clean attention sharpens along with the
# poisoned, and the modes overlap; at 1.2e-3 the collapse stays shallow.
FINETUNE = FinetuneSettings(epochs=6, batch=8, micro_batch=8, rate=1.5e-3, dropout=0.1)
# The tour fine-tunes on the cleaned set while somebody waits.
TOUR = replace(FINETUNE, epochs=4)
