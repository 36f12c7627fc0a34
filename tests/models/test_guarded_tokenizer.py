"""Texts made for a hostile tokenizer are stopped in the limited process; harmless tokenizers read texts at once."""

import copy
import pickle
import shutil

import pytest
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from bye_core.errors import ByeError
from bye_core.models import bounds, guarded_tokenizer
from bye_core.models.calls import generate_answers
from bye_core.models.folder_errors import CostlyModel
from bye_core.models.guarded_tokenizer import guard
from bye_core.models.loading import load_model
from bye_core.models.sandbox import SANDBOX
from tests.models.hostile import edit
from tests.models.tiny import picture, sample


def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def doubled(letter, times):
    part = {"type": "Replace", "pattern": {"String": letter}, "content": 2 * letter}
    return {"type": "Sequence", "normalizers": [part] * times}


# A part of a tokenizer that passes the trial when the model is loaded, and a text made for it.
MADE_FOR_EACH_OTHER = {
    "a pattern that backtracks for ever": ({"pre_tokenizer": split("ö(?:ö*ö*)*ü")}, "ö" * 30),
    "a pattern of cubic time": ({"pre_tokenizer": split("ö+ö+ö+ü")}, "ö" * 4000),
    "a text that doubles itself": ({"normalizer": doubled("ö", 40)}, "ö"),
}  # fmt: skip


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(bounds, "TOKENIZER_SECONDS", 0.5)


@pytest.mark.parametrize("name", MADE_FOR_EACH_OTHER)
def test_a_text_made_for_a_tokenizer_fails_alone(name, folder, tmp_path, short):
    changes, text = MADE_FOR_EACH_OTHER[name]
    path = shutil.copytree(folder, tmp_path / "model")
    edit("tokenizer.json", **changes)(path)
    loaded = load_model(path, device="cpu")
    samples = [sample("a"), sample("b", question=text), sample("c")]
    (answers,) = generate_answers(loaded, samples, lambda one: [picture(0)])
    assert [isinstance(answer, ByeError) for answer in answers] == [False, True, False]


def test_after_three_short_texts_the_tokenizer_is_not_used_any_more(loaded, short):
    tokenizer = copy.deepcopy(loaded.processor.tokenizer)
    tokenizer._tokenizer.normalizer = normalizers.Sequence([normalizers.Replace("ö", "öö")] * 40)
    guard(tokenizer)
    for number in range(guarded_tokenizer.MOST_STOPPED):
        for _ in range(2):  # the second time without a trial
            with pytest.raises(CostlyModel, match=r"tokenizer of .* was stopped"):
                tokenizer("ö" * (number + 1))
    starts = SANDBOX.starts
    with pytest.raises(CostlyModel):
        tokenizer("harmless")
    assert SANDBOX.starts == starts


def test_a_tokenizer_that_fails_is_named(loaded):
    tokenizer = copy.deepcopy(loaded.processor.tokenizer)
    tokenizer._tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(ö+)+ü"), "isolated")
    guard(tokenizer)
    with pytest.raises(ValueError, match=r"the tokenizer fails: .*retry-limit"):
        tokenizer(["a", "ö" * 200])
    assert tokenizer(["a"]) == loaded.processor.tokenizer(["a"])


def test_a_hostile_decoder_is_stopped(loaded, short):
    tokenizer = copy.deepcopy(loaded.processor.tokenizer)
    tokenizer._tokenizer.decoder = decoders.Sequence([decoders.Replace("a", "aa")] * 40)
    guard(tokenizer)
    with pytest.raises(CostlyModel):
        tokenizer.batch_decode([tokenizer("a a a")["input_ids"]])


@pytest.mark.parametrize(
    ("part", "value", "guarded"),
    [
        ("pre_tokenizer", pre_tokenizers.ByteLevel(), False),
        ("pre_tokenizer", pre_tokenizers.Split(" ", "isolated"), False),
        ("pre_tokenizer", pre_tokenizers.Split(Regex(r"\s"), "isolated"), True),
        ("pre_tokenizer", pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated"), False),
        ("pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.Digits()] * 99), True),
        ("normalizer", normalizers.Sequence([normalizers.NFC(), normalizers.Replace(" ", "▁")]), False),
        ("normalizer", normalizers.Sequence([normalizers.Sequence([normalizers.Replace("a", "bb")] * 5)]), True),
        ("normalizer", normalizers.Replace("a", ""), False),
        ("normalizer", normalizers.Prepend("x" * 1000), True),
        ("model", models.WordPiece({"[UNK]": 0}), False),
        ("model", models.WordPiece({"[UNK]": 0}, max_input_chars_per_word=10**6), True),
    ],
)
def test_only_tokenizers_with_dangerous_parts_read_texts_twice(part, value, guarded, loaded):
    tokenizer = copy.deepcopy(loaded.processor.tokenizer)
    setattr(tokenizer._tokenizer, part, value)
    guard(tokenizer)
    assert ("_encode_plus" in vars(tokenizer)) == guarded


def test_a_guarded_tokenizer_is_copied_with_its_guard_and_saved_without(loaded, tmp_path):
    tokenizer = copy.deepcopy(loaded.processor.tokenizer)
    tokenizer._tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("x"), "isolated")
    guard(tokenizer)
    for copied in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert copied._encode_plus.tokenizer is copied
        assert copied("a cat", text_pair="x") == tokenizer("a cat", text_pair="x")
    tokenizer.save_pretrained(tmp_path)
    assert "uarded" not in "".join(file.read_text() for file in tmp_path.iterdir())
