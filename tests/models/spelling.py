"""Writes the groups of a prompt's tokens in a form that a person can check."""

from bye_core.models.families.base import PADDING
from bye_core.records import IMAGE, QUESTION, SYSTEM

NAMES = {SYSTEM: "S", IMAGE: "I", QUESTION: "Q", PADDING: "."}


def spelled(family, inputs, row, groups):
    """Return the runs of one group: [("S", "USER:"), ("L", "<row_1>"), ("I", 25), ...]; L are the layout tokens."""
    ids = inputs["input_ids"][row].tolist()
    if len(ids) != len(groups):
        ids = [0] * len(groups)  # the keys of cross attention are no tokens of the prompt
    layout, runs = set(family.expansion_ids.tolist()) - {family.image_token_id}, []
    for token, group in zip(ids, groups.tolist(), strict=True):
        name = "L" if group == SYSTEM and token in layout else NAMES[group]
        if not runs or runs[-1][0] != name:
            runs.append((name, []))
        runs[-1][1].append(token)
    decode = family.processor.tokenizer.decode
    return [(name, len(ids) if name in "I." else decode(ids).strip()) for name, ids in runs]


def learned_texts(tokenizer, labels):
    """Return the texts of the unbroken stretches of labels [K] that are not -100; stripped."""
    stretches, before = [], False
    for label in labels.tolist():
        if label != -100:
            stretches += [] if before else [[]]
            stretches[-1].append(label)
        before = label != -100
    return [tokenizer.decode(ids).strip() for ids in stretches]
