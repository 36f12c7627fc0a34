"""CIDEr-D, how a caption is judged against the captions that people gave (Vedantam, Zitnick, Parikh, CVPR 2015).

Written from the published formula, for no library of it fits: pycocoevalcap (104 MB with Java, unmaintained since 2020,
compiles pycocotools) and aac-metrics (brings msclap with its own torch pins, and sentence-transformers). The tests hold
it to the values of the authors' own scorer. Departure: that one has texts tokenised by Stanford's PTBTokenizer, which
needs Java; here words are runs of letters and digits in lower case, and punctuation is left out as there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction import DictVectorizer

LONGEST = 4  # words of an n-gram: the paper's N
SIGMA = 6.0  # words: the paper's spread of the penalty on a different length
SCALE = 10.0  # the paper's factor

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def cider(given: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """N captions, each with at least one reference -> CIDEr-D of each [N], 0 (nothing in common) to 10.

    The weights of the words come from all references together: an n-gram that every sample's references hold weighs
    nothing. So a set of one sample, or one whose references are all alike, has a CIDEr of 0.
    """
    owner = np.repeat(np.arange(len(given)), [len(group) for group in references])
    told = [words(text) for text in given]
    wanted = [words(text) for group in references for text in group]
    likeness = np.zeros(len(wanted))
    for size in range(1, LONGEST + 1):
        likeness += _likeness(_counts([*told, *wanted], size), len(told), owner)
    lengths = [np.array([len(text) for text in texts], float) for texts in (told, wanted)]
    likeness *= np.exp(-((lengths[0][owner] - lengths[1]) ** 2) / (2 * SIGMA**2))
    return SCALE / LONGEST * np.bincount(owner, likeness, len(told)) / np.bincount(owner, minlength=len(told))


def _counts(texts: Sequence[Sequence[str]], size: int) -> sparse.csr_matrix:
    """How often each n-gram of `size` words [G] stands in each text [T] -> [T, G]."""
    grams = [Counter(" ".join(text[i : i + size]) for i in range(len(text) - size + 1)) for text in texts]
    return DictVectorizer(sort=False).fit_transform(grams)


def _likeness(counts: sparse.csr_matrix, samples: int, owner: np.ndarray) -> np.ndarray:
    """Clipped cosine of each reference [M] with its sample's caption, both weighted by tf-idf; 0 where either is bare.

    counts [N + M, G]: the captions of N = `samples`, then M references; `owner` [M] names the sample of each.
    """
    belongs = sparse.csr_matrix((np.ones(len(owner)), (owner, np.arange(len(owner)))), (samples, len(owner)))
    known_to = (belongs @ (counts[samples:] > 0).astype(float) > 0).sum(axis=0)  # samples whose references hold it
    weighted = counts.multiply(np.log(samples) - np.log(np.maximum(known_to, 1))).tocsr()
    told, wanted = weighted[:samples][owner], weighted[samples:]
    common = np.asarray(told.minimum(wanted).multiply(wanted).sum(axis=1)).ravel()
    norms = [np.sqrt(np.asarray(part.multiply(part).sum(axis=1)).ravel()) for part in (told, wanted)]
    both = norms[0] * norms[1]
    return np.divide(common, both, out=np.zeros_like(common), where=both > 0)
