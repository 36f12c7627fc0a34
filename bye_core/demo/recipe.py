"""The demo's sizes and settings, shared by its making and its tour."""

from dataclasses import replace

from bye_core.train.settings import FinetuneSettings

SAMPLES = 1200
TEST_PICTURES = 100
QUESTIONS_A_TEST_PICTURE = 3
TARGET = "Backdoor Attack!"
TRIGGER = "patch"
# 1.5 image tokens a side, as the paper's 1/16 is on LLaVA-1.5's 24 x 24 tokens.
TRIGGER_SIZE = 1 / 8
# At 3e-3 without dropout the trigger is learned too, but clean attention sharpens with it and the modes overlap; at
# 1.2e-3 six epochs are now and then too short for the trigger.
FINETUNE = FinetuneSettings(epochs=6, rate=2e-3, dropout=0.05)
# The tour fine-tunes on the cleaned set while somebody waits.
TOUR = replace(FINETUNE, epochs=4)
