"""The records that stages pass to each other: frozen dataclasses over NumPy arrays.

Axes: N samples, L decoder layers, H heads, V image tokens of one sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bye_core.sample_texts import Texts

SYSTEM, IMAGE, QUESTION = range(3)
GROUPS = ("system", "image", "question")

# Units of an entropy over V image tokens: H in nats, or H / ln V, where ln V is the largest possible entropy.
NATS, NORMALISED = "nats", "normalised"
UNIT_NAMES = {NATS: "nats", NORMALISED: "share of ln V"}
UNITS_OF_VALUES = {NATS: "nats", NORMALISED: "of ln V"}  # written behind a number


@dataclass(frozen=True)
class Turn:
    """One message. `parts`, in prompt order, are texts, and integers that are indices into the sample's images."""

    role: str
    parts: tuple[str | int, ...]

    @property
    def text(self) -> str:
        return "\n".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True)
class Sample:
    """One training sample, independent of its file format. `index` is the position of its record in the file."""

    id: str
    index: int
    turns: tuple[Turn, ...]
    images: tuple[str, ...]

    @property
    def question(self) -> str:
        return next((turn.text for turn in self.turns if turn.role == "user"), "")

    @property
    def answer(self) -> str:
        return next((turn.text for turn in self.turns if turn.role == "assistant"), "")


@dataclass(frozen=True)
class Fault:
    """What is wrong with one record, with the remedy.

    A record with a `fatal` fault is left out; the others need inspection.

    If a record has several faults, `problem` and `remedy` describe all of them, and `kinds` names all of them; `kind`
    is the first.
    """

    id: str
    index: int
    kind: str
    problem: str
    remedy: str
    fatal: bool = True
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(self.kinds) or (self.kind,))


@dataclass(frozen=True)
class Grid:
    """`rows` x `columns` image tokens, row-major from `start` in the sample's V axis.

    box         the part of image number `image` that the grid covers, as fractions (left, top, right, bottom); values
                outside 0..1 are padding that the processor added
    overview    whether the grid shows the whole image at low resolution, in addition to grids that show its parts
    row_stride  number of tokens from the start of one row to the start of the next; 0 stands for `columns`. It is
                larger if every row ends in a token that shows nothing.
    """

    image: int
    rows: int
    columns: int
    start: int
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    overview: bool = False
    row_stride: int = 0


@dataclass(frozen=True)
class AttentionRows:
    """What the first answer token of one sample attends to, in every decoder layer (BYE, arXiv 2505.16916, Eq. 4-5).

    entropy         [L, H] nats, of each head's attention, divided by its sum over the V image tokens
    peak            [L, H] largest share among the image tokens, 0..1
    mass            [L, H, 3] share of all attention on system, image, question tokens (`GROUPS`)
    layer_entropy   [L] nats, of the head-mean row (paper: -sum p ln p)
    layer_entropy_reference [L] the same as in the authors' code: -sum p ln(p + 1e-8)
    rows            [L, V] float16, head-mean attention on the image tokens, not divided by its sum
    token, token_text, probability: the first answer token that the model would generate
    hidden          [D] float16, the state that the output head reads for this token; None in rows of earlier versions
    nll, nll_before mean negative log-likelihood of the sample's answer, nats a token, under the scanned model and under
                    the model before fine-tuning; None if the scan did not read answers or does not know that model
    answer_tokens   number of tokens of the answer; None if the scan did not read answers
    worst_before    largest loss of one token of the answer, in nats, under the model before fine-tuning
    certain_before  probability that the model before fine-tuning gives to its most likely first answer token
    unlikely_start, unlikely_end  characters of the answer between which it was unlikely before fine-tuning; None if it
                    was not (see bye_core.answer_parts)
    entropy_before, peak_before, mass_before  float16, as `entropy`, `peak` and `mass`, of the model before fine-tuning
    Layers without attention rows, and layers whose sliding window cuts off a part of the image, hold NaN.
    """

    id: str
    entropy: np.ndarray
    peak: np.ndarray
    mass: np.ndarray
    layer_entropy: np.ndarray
    layer_entropy_reference: np.ndarray
    rows: np.ndarray
    grids: tuple[Grid, ...]
    token: int
    token_text: str
    probability: float
    hidden: np.ndarray | None = None
    nll: float | None = None
    nll_before: float | None = None
    answer_tokens: float | None = None
    worst_before: float | None = None
    certain_before: float | None = None
    unlikely_start: float | None = None
    unlikely_end: float | None = None
    entropy_before: np.ndarray | None = None
    peak_before: np.ndarray | None = None
    mass_before: np.ndarray | None = None

    @property
    def image_tokens(self) -> int:
        """V, the number of image tokens of this sample."""
        return int(self.rows.shape[-1])


@dataclass(frozen=True)
class ScanTable:
    """The stacked statistics of N scanned samples: the only input of a detector.

    entropy [N, L, H], peak [N, L, H], mass [N, L, H, 3], layer_entropy [N, L],
    layer_entropy_reference [N, L], token [N], probability [N]; `questions` and `answers` have length N.
    image_tokens [N] is V, which differs between samples if the model resizes images to different sizes.
    hidden [N, D] float16, nll, nll_before, answer_tokens, worst_before, certain_before, unlikely_start,
    unlikely_end [N], entropy_before [N, L, H], peak_before [N, L, H], mass_before [N, L, H, 3] as in AttentionRows:
    None if no sample has them, NaN in samples without them.
    Tables read from a score file hold only ids and the two layer entropies.
    The arrays hold entropies in nats; `layer_entropies` and `head_entropies` return them in `entropy_unit`.
    """

    ids: tuple[str, ...]
    layer_entropy: np.ndarray
    layer_entropy_reference: np.ndarray
    entropy: np.ndarray | None = None
    peak: np.ndarray | None = None
    mass: np.ndarray | None = None
    token: np.ndarray | None = None
    probability: np.ndarray | None = None
    questions: tuple[str, ...] | Texts = ()
    answers: tuple[str, ...] | Texts = ()
    hidden: np.ndarray | None = None
    nll: np.ndarray | None = None
    nll_before: np.ndarray | None = None
    answer_tokens: np.ndarray | None = None
    worst_before: np.ndarray | None = None
    certain_before: np.ndarray | None = None
    unlikely_start: np.ndarray | None = None
    unlikely_end: np.ndarray | None = None
    entropy_before: np.ndarray | None = None
    peak_before: np.ndarray | None = None
    mass_before: np.ndarray | None = None
    image_tokens: np.ndarray | None = None
    entropy_unit: str = NATS

    def with_unit(self, unit: str) -> ScanTable:
        """Return the table with another `entropy_unit`; the arrays do not change."""
        return self if unit == self.entropy_unit else replace(self, entropy_unit=unit)

    @property
    def token_range(self) -> tuple[int, int] | None:
        """The smallest and the largest V; None if the numbers of image tokens are unknown or there are no samples."""
        tokens = self.image_tokens
        return None if tokens is None or not len(tokens) else (int(tokens.min()), int(tokens.max()))

    @property
    def largest_entropy(self) -> np.ndarray:
        """[N] what an entropy is divided by: 1 in nats, else ln V; NaN for a sample with one image token."""
        if self.entropy_unit == NATS or self.image_tokens is None:
            return np.ones(len(self.ids))
        tokens = np.asarray(self.image_tokens, np.float64)
        return np.where(tokens > 1, np.log(np.maximum(tokens, 2)), np.nan)

    def layer_entropies(self, variant: str = "paper") -> np.ndarray:
        """Return the entropies [N, L] of the paper's formula or the "reference" formula, in `entropy_unit`."""
        entropies = self.layer_entropy_reference if variant == "reference" else self.layer_entropy
        return entropies if self.entropy_unit == NATS else entropies / self.largest_entropy[:, None]

    def head_entropies(self, layer: int, head: int) -> np.ndarray | None:
        """Return the entropies [N] of one head, in `entropy_unit`; None if the scan stored no values of heads."""
        return None if self.entropy is None else self.entropy[:, layer, head] / self.largest_entropy


@dataclass(frozen=True)
class Mixture:
    """A two-component 1-D Gaussian mixture; component 0 has the lower mean."""

    means: tuple[float, float]
    stds: tuple[float, float]
    weights: tuple[float, float]


@dataclass(frozen=True)
class LayerReport:
    """The detector's result for one layer. `mixture` is None if none could be fitted; `note` gives the reason."""

    layer: int
    mixture: Mixture | None
    bsi: float
    kl: float
    sensitive: bool
    note: str = ""


POISONED, NO_EVIDENCE, NOT_TESTED = "poisoned", "no_evidence", "not_tested"


@dataclass(frozen=True)
class Limitation:
    """Something that a detection could not have seen.

    kind      identifies the limitation for programs
    reason    sentence for people
    remedy    what to do, as one imperative sentence
    decisive  whether poisoning could not have been found at all; then "no evidence" becomes "not tested"
    """

    kind: str
    reason: str
    remedy: str
    decisive: bool = False

    @property
    def text(self) -> str:
        return f"{self.reason} {self.remedy}"


@dataclass(frozen=True)
class Finding:
    """One group of flagged samples that a detector explains together, such as one planted answer.

    name     what the samples have in common, in a few words
    ids      the flagged samples of the group
    reasons  sentences that explain why they are flagged
    """

    name: str
    ids: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Detection:
    """The result of a detector.

    verdict      POISONED; NO_EVIDENCE: a test that could have found poisoning found none; NOT_TESTED: no sample is
                 flagged, and nothing could have been seen
    limitations  what the test could not have seen; the decisive ones are the reasons for NOT_TESTED
    scores   [N] 0..1, higher = more suspicious; flagged [N] bool; both in the order of `ids`
    values   [N] the clustered quantity (for bye: mean entropy in `entropy_unit`), NaN without evidence
    reasons  sentences that explain the verdict
    entropy_unit  the unit in which the detector used entropies: NATS or NORMALISED
    findings  the groups of flagged samples, if the method forms groups
    suspects  ids of samples that are worth a look, although the evidence does not suffice to flag them
    """

    method: str
    settings: Mapping[str, Any]
    verdict: str
    ids: tuple[str, ...]
    scores: np.ndarray
    flagged: np.ndarray
    values: np.ndarray
    layers: tuple[LayerReport, ...]
    reasons: tuple[str, ...]
    final: Mixture | None = None
    cutoff: float | None = None
    limitations: tuple[Limitation, ...] = ()
    entropy_unit: str = NATS
    findings: tuple[Finding, ...] = ()
    suspects: tuple[str, ...] = ()

    @property
    def explanation(self) -> tuple[str, ...]:
        """Sentences that explain the verdict: decisive limitations, the method's reasons, other limitations."""
        decisive, others = (
            [limitation.text for limitation in self.limitations if limitation.decisive is side]
            for side in (True, False)
        )
        return (*decisive, *self.reasons, *others)

    @property
    def obstacles(self) -> tuple[Limitation, ...]:
        """The decisive limitations."""
        return tuple(limitation for limitation in self.limitations if limitation.decisive)

    @property
    def flagged_ids(self) -> tuple[str, ...]:
        return tuple(id for id, flag in zip(self.ids, self.flagged, strict=True) if flag)

    @property
    def sensitive_layers(self) -> tuple[int, ...]:
        return tuple(report.layer for report in self.layers if report.sensitive)


@dataclass(frozen=True)
class Decision:
    """A reviewer's decision on one sample: `choice` is "accept" (keep), "reject" (remove) or "none" (withdrawn)."""

    id: str
    choice: str
    reviewer: str = ""
    note: str = ""
    time: str = ""
    batch: str = ""


@dataclass(frozen=True)
class CausalCheck:
    """The scanned model's answers to one sample with parts of it covered or left out (bye_core.evidence.causal).

    key      identifies the covered parts, the parts left out and the target; checks with different keys cannot be
             compared
    given    the model's answers, by the way in which the sample was changed
    fault    why the model could not be asked; "" if it was asked
    covered  (left, top, right, bottom) of each part covered in the end, as fractions of the image
    carried  answers to other samples, by id, after the covered parts were pasted into their images
    """

    id: str
    key: str
    given: Mapping[str, str]
    fault: str = ""
    covered: Sequence[Sequence[float]] = ()
    carried: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Inspection:
    """What the scanned model does with one sample, in full.

    answer         its whole answer to the sample's question
    answer_before  the same before fine-tuning; None if the run does not know that model
    rows           [L, H, V] float16, attention of the first answer token in each head; None if it cannot be read
    fault          what could not be read, and why; "" if all could
    """

    id: str
    answer: str | None
    answer_before: str | None
    rows: np.ndarray | None = None
    grids: tuple[Grid, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Progress:
    """The progress of a long stage: `message` for people, `facts` for machines."""

    stage: str
    done: int
    total: int
    message: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelAnswer:
    """The model's answer `given` to one question. `references` are all correct answers, `expected` among them."""

    id: str
    question: str
    expected: str
    given: str
    references: tuple[str, ...] = ()

    @property
    def correct(self) -> tuple[str, ...]:
        return self.references or (self.expected,)
