"""CIDEr-D: scores a caption against reference captions (Vedantam, Zitnick, Parikh, CVPR 2015).

We implement the published formula, because no library fits: pycocoevalcap is unmaintained since 2020 and needs Java
(104 MB); aac-metrics pins its own torch version and needs sentence-transformers. The tests compare with the values of
the authors' scorer. One difference: the authors split words with the PTBTokenizer of Stanford, which needs Java. Here a
word is a run of letters and digits in lower case; both drop punctuation.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy

LONGEST = 4  # words of the longest n-gram: the paper's N
SIGMA = 6.0  # words: the paper's width of the penalty on a different length
SCALE = 10.0  # the paper's factor

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Return the CIDEr-D of each of N captions [N], from 0 (nothing in common with its references) to 10.

    `references[i]` are the references of caption i, at least one. The weights of the n-grams come from the references
    of all captions: an n-gram in the references of every caption has weight 0. So CIDEr is 0 for a single caption, and
    if all captions have the same references.
    """
    owner = np.repeat(np.arange(len(captions)), [len(group) for group in references])
    caption_words = [words(text) for text in captions]
    reference_words = [words(text) for group in references for text in group]
    similarity = np.zeros(len(reference_words))
    for size in range(1, LONGEST + 1):
        counts = _ngram_counts([*caption_words, *reference_words], size)
        similarity += _clipped_cosine(counts, len(caption_words), owner)
    lengths = [np.array([len(text) for text in texts], float) for texts in (caption_words, reference_words)]
    similarity *= np.exp(-((lengths[0][owner] - lengths[1]) ** 2) / (2 * SIGMA**2))
    total = np.bincount(owner, similarity, len(captions))
    return SCALE / LONGEST * total / np.bincount(owner, minlength=len(captions))


def _ngram_counts(texts: Sequence[Sequence[str]], size: int) -> scipy.sparse.csr_matrix:
    """Count each of the G n-grams of `size` words in each of the T texts. Returns [T, G]."""
    from sklearn.feature_extraction import DictVectorizer

    ngrams = [Counter(" ".join(text[i : i + size]) for i in range(len(text) - size + 1)) for text in texts]
    return DictVectorizer(sort=False).fit_transform(ngrams)


def _clipped_cosine(counts: scipy.sparse.csr_matrix, samples: int, owner: np.ndarray) -> np.ndarray:
    """Return the clipped cosine [M] between each reference and its sample's caption, weighted by tf-idf.

    It is 0 if the reference or the caption is empty. `counts` [N + M, G] holds N = `samples` captions, then M
    references; `owner` [M] is the sample of each reference. This is our own code because the document frequency of
    scikit-learn's tf-idf counts texts, and that of CIDEr counts samples, which may have several references.
    """
    belongs = scipy.sparse.csr_matrix((np.ones(len(owner)), (owner, np.arange(len(owner)))), (samples, len(owner)))
    # Samples whose references contain the n-gram.
    document_counts = (belongs @ (counts[samples:] > 0).astype(float) > 0).sum(axis=0)
    weighted = counts.multiply(np.log(samples) - np.log(np.maximum(document_counts, 1))).tocsr()
    caption, reference = weighted[:samples][owner], weighted[samples:]
    common = np.asarray(caption.minimum(reference).multiply(reference).sum(axis=1)).ravel()
    norms = [np.sqrt(np.asarray(part.multiply(part).sum(axis=1)).ravel()) for part in (caption, reference)]
    product = norms[0] * norms[1]
    return np.divide(common, product, out=np.zeros_like(common), where=product > 0)
