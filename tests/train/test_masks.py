"""What is learned, token by token, for every format a data set may have."""

import json

import pytest
import torch

from bye_core.data import load_dataset
from bye_core.models.loading import load_model
from bye_core.train.collate import Collator
from bye_core.train.sampler import FILLER, SampleList
from tests.data import sets
from tests.models.tiny import save_tiny

MORE = "And what colour?"
REPLY = "it is red"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_model(save_tiny(tmp_path_factory.mktemp("model"), num_hidden_layers=1), device="cpu")


def text_turns():
    return sets.talk(REPLY, MORE)


def role_turns():
    return [{"role": "user", "content": MORE}, {"role": "assistant", "content": REPLY}]


def part_turns():
    return [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in role_turns()]


LONGER = {
    "llava": ("data.json", "conversations", text_turns),
    "qwen-vl": ("data.jsonl", "conversations", text_turns),
    "sharegpt": ("mine.json", "messages", role_turns),
    "chat": ("chat.jsonl", "messages", part_turns),
}


def add_turns(folder, format):
    """A second question and answer in every record."""
    name, key, turns = LONGER[format]
    path = folder / name
    lines = name.endswith("l")
    text = path.read_text(encoding="utf-8")
    records = [json.loads(line) for line in text.splitlines() if line] if lines else json.loads(text)
    for record in records:
        record[key] += turns()
    path.write_text("\n".join(map(json.dumps, records)) if lines else json.dumps(records), encoding="utf-8")


def expected_labels(loaded, ids):
    """By reading along: what follows the tag "ASSISTANT:" is learned, up to and with the end of the turn."""
    tokenizer = loaded.processor.tokenizer
    labels, learning, read = [], False, ""
    for id in ids:
        labels.append(id if learning else -100)
        read += tokenizer.convert_ids_to_tokens(id)
        if id == tokenizer.eos_token_id:
            learning = False
        elif read.endswith("ASSISTANT:"):
            learning = True
    return labels


CASES = [(format, 1) for format in ("llava", "qwen-vl", "sharegpt", "chat", "chat parquet", "imagefolder", "vqa")]
CASES += [(format, 2) for format in LONGER]


@pytest.mark.parametrize(("format", "turns"), CASES)
def test_answers_alone_are_learned(tmp_path, loaded, format, turns):
    folder = sets.MAKERS[format](tmp_path / "set")
    if turns == 2:
        add_turns(folder, format)
    dataset = load_dataset(folder)
    assert len(dataset.samples) == len(sets.ANSWERS)
    batch = Collator(loaded.family, dataset.images)(dataset.samples)
    tokenizer = loaded.processor.tokenizer
    for row, answer in enumerate(sets.ANSWERS):
        ids, labels = batch["input_ids"][row].tolist(), batch["labels"][row].tolist()
        assert labels == expected_labels(loaded, ids)
        learned = tokenizer.decode([label for label in labels if label != -100])
        assert learned == f" {answer} </s>" + f" {REPLY} </s>" * (turns - 1)


def test_a_filler_teaches_nothing(tmp_path, loaded):
    dataset = load_dataset(sets.llava(tmp_path / "set"))
    samples = SampleList(dataset.samples)
    filler = samples[FILLER]
    batch = Collator(loaded.family, dataset.images)([samples[1], filler])
    assert (batch["labels"][1] == -100).all()
    assert (batch["labels"][0] != -100).any()
    assert torch.equal(
        batch["pixel_values"][1], Collator(loaded.family, dataset.images)([samples[0]])["pixel_values"][0]
    )
