"""Tries texts in the limited process of `sandbox.py` before the tokenizer of a hostile folder reads them here.

The texts of a data set may be made for the tokenizer: a pattern that takes hours on one text, a normalizer that doubles
it forty times, or one that ends the process. Tokenizers whose parts cannot do so, as those of most published models,
read texts at once. Others, such as those that split texts by an unknown pattern, read each text twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bye_core.models.folder_errors import CostlyModel
from bye_core.models.sandbox import SANDBOX, SandboxError, SandboxLimit

# Parts of the tokenizers library whose work grows with the length of a text alone; Replace and Split are judged below.
SAFE_PARTS = {
    "normalizer": {
        "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "Strip", "StripAccents", "BertNormalizer", "Prepend",
        "ByteLevel",
    },
    "pre_tokenizer": {
        "ByteLevel", "BertPreTokenizer", "CharDelimiterSplit", "Digits", "Metaspace", "Punctuation", "UnicodeScripts",
        "Whitespace", "WhitespaceSplit",
    },
    "decoder": {"ByteFallback", "ByteLevel", "BPEDecoder", "CTC", "Fuse", "Metaspace", "Strip", "WordPiece"},
}  # fmt: skip
# Patterns of known tokenizers, whose time grows with the length of a text: of Qwen2-VL, Qwen3.5, Llama 3 and GPT-4o
# with its kin (Llama 4, Mistral).
_WORDS, _REST = r"[^\r\n\p{L}\p{N}]?", r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_ENDS, _UPPER, _LOWER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]",
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]",
)
_OTHERS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
SAFE_PATTERNS = {
    rf"{_ENDS}|{_WORDS}\p{{L}}+|\p{{N}}{_OTHERS}{_REST}",
    rf"{_ENDS}|{_WORDS}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*{_REST}",
    rf"{_ENDS}|{_WORDS}\p{{L}}+|\p{{N}}{{1,3}}{_OTHERS}{_REST}",
    *(
        rf"{_WORDS}{_UPPER}*{_LOWER}+{ends}|{_WORDS}{_UPPER}+{_LOWER}*{ends}|{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*{_REST}"
        for ends, digits in ((f"{_ENDS}?", r"\p{N}{1,3}"), ("", r"\p{N}"))
    ),
}
SAFE_MODELS = {"BPE", "Unigram", "WordLevel"}
WORD_CHARACTERS = 1_000  # WordPiece compares every part of a word; real ones leave out words of more than 100
MOST_PARTS, MOST_GROWTH, PART_CHARACTERS = 32, 16, 64  # of parts that are called safe (ours)
# A text this short takes milliseconds. After so many of them took too long, the tokenizer is to blame, not the texts.
SHORT_TEXTS, MOST_STOPPED = 100_000, 3


def guard(tokenizer: Any) -> None:
    """Make a tokenizer of transformers try each call in the limited process, if its parts may be dangerous."""
    rust = getattr(tokenizer, "_tokenizer", None)
    if rust is None or isinstance(vars(tokenizer).get("_encode_plus"), GuardedEncode):
        return
    encoding = _is_safe("normalizer", rust.normalizer) and _is_safe("pre_tokenizer", rust.pre_tokenizer)
    words = getattr(rust.model, "max_input_chars_per_word", WORD_CHARACTERS + 1)
    if not (encoding and (type(rust.model).__name__ in SAFE_MODELS or words <= WORD_CHARACTERS)):
        tokenizer._encode_plus = GuardedEncode(tokenizer)
    if not _is_safe("decoder", rust.decoder):
        tokenizer._decode = GuardedDecode(tokenizer)


def _is_safe(role: str, part: Any) -> bool:
    if part is None:
        return True
    parts, growth = list(_parts(json.loads(part.__getstate__()))), 1.0
    for one in parts:
        kind, pattern = one.get("type"), one.get("pattern")
        text, known = (pattern.get("String"), pattern.get("Regex")) if isinstance(pattern, Mapping) else (None, None)
        if kind == "Replace" and text:
            growth *= max(1.0, len(one.get("content", "")) / len(text))
        elif not (kind in SAFE_PARTS[role] or (kind == "Split" and (text or known in SAFE_PATTERNS))):
            return False
        if any(len(value) > PART_CHARACTERS for value in one.values() if isinstance(value, str)):
            return False
    return len(parts) <= MOST_PARTS and growth <= MOST_GROWTH


def _parts(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a sequence, which may hold sequences."""
    pending = [state]
    while pending:
        part = pending.pop()
        inner = next((part[key] for key in ("normalizers", "pretokenizers", "decoders") if key in part), None)
        if inner is None:
            yield part
        else:
            pending.extend(inner)


class _Guarded:
    """Stands in for a method of one tokenizer. `stopped`: digests of the calls that exceeded a limit."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.stopped: dict[str, str] = {}
        self.digest = ""

    def attempt(self, texts: Sequence[str], ids: Sequence[int], split: bool = False) -> None:
        """Encode texts and decode ids in the limited process.

        Raises: CostlyModel if a limit is exceeded; ValueError if the tokenizer fails.
        """
        if self.stopped and (len(self.stopped) >= MOST_STOPPED or _call_digest(texts, ids) in self.stopped):
            reason = next(iter(self.stopped.values()))
            raise CostlyModel(path=self.tokenizer.name_or_path, part="tokenizer", reason=reason)
        definition = self.tokenizer._tokenizer.to_str
        self.digest = self.digest or _sha256(definition())
        try:
            SANDBOX.use_tokenizer(self.digest, definition, texts, ids, split)
        except SandboxLimit as error:
            if sum(map(len, texts)) <= SHORT_TEXTS:
                self.stopped[_call_digest(texts, ids)] = str(error)
            raise CostlyModel(path=self.tokenizer.name_or_path, part="tokenizer", reason=error) from error
        except SandboxError as error:
            raise ValueError(f"the tokenizer fails: {error}") from error


class GuardedEncode(_Guarded):
    def __call__(self, text: Any, text_pair: Any = None, *more: Any, **options: Any) -> Any:
        split = options.get("split_special_tokens")
        split = self.tokenizer.split_special_tokens if split is None else split
        self.attempt([*_texts(text), *_texts(text_pair)], [], bool(split))
        return type(self.tokenizer)._encode_plus(self.tokenizer, text, text_pair, *more, **options)


class GuardedDecode(_Guarded):
    def __call__(self, token_ids: Any, *more: Any, **options: Any) -> Any:
        ids = token_ids["input_ids"] if isinstance(token_ids, Mapping) else token_ids
        self.attempt([], [int(id) for id in (ids if isinstance(ids, Sequence) else [ids])])
        return type(self.tokenizer)._decode(self.tokenizer, token_ids, *more, **options)


def _call_digest(texts: Sequence[str], ids: Sequence[int]) -> str:
    return _sha256(json.dumps([texts, ids]))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)
