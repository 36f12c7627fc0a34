"""Asks the scanned model about flagged samples, and stores the answers by sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image

from bye_core.attention import read_attention
from bye_core.errors import ByeError
from bye_core.evidence import COVERED, CausalOutcome, Intervention, SharedAnswer, at_target, judge_outcome
from bye_core.model_protocol import VisionLanguageModel
from bye_core.models.calls import generate_answers
from bye_core.records import AttentionRows, ModelAnswer, Sample

Images = list[Image.Image]


@dataclass(eq=False)
class SampleCheck:
    """The state of one sample's causal check.

    target    the suspected target, None if no answer is over-represented among the flagged samples
    cell      width and height of the attention cell that was covered last, as fractions of the image
    answers   the model's answers by condition (evidence.CONDITIONS and the conditions of later tests)
    inserted  by recipient id, the answer with this sample's covered spots pasted into the recipient's image
    fault     why the model could not be asked, "" if it could
    """

    intervention: Intervention
    target: SharedAnswer | None
    images: Images = field(default_factory=list)
    cell: tuple[float, float] = (0.0, 0.0)
    answers: dict[str, str] = field(default_factory=dict)
    inserted: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def sample(self) -> Sample:
        return self.intervention.sample

    @property
    def id(self) -> str:
        return self.intervention.sample.id

    @property
    def source(self) -> Image.Image:
        """The image whose spots are covered."""
        return self.images[self.intervention.image]

    def at_target(self, answer: str) -> bool:
        return at_target(self.target, self.sample.answer, answer)

    def cause(self) -> CausalOutcome:
        """Return the outcome that follows from the answers so far, without those of the insertion test."""
        return CausalOutcome("unknown") if self.fault else judge_outcome(self.answers, self.target, self.sample.answer)


class ScannedModel:
    """The scanned model, asked in batches of `batch_size` samples."""

    def __init__(self, loaded: VisionLanguageModel, batch_size: int) -> None:
        self._loaded = loaded
        self.batch_size = batch_size

    def answers(
        self, samples: Sequence[Sample], images: Callable[[Sample], Images]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return (answers by sample id, reasons by id of the samples without an answer)."""
        answers, faults = {}, {}
        for batch in generate_answers(self._loaded, samples, images, self.batch_size):
            for result in batch:
                if isinstance(result, ModelAnswer):
                    answers[result.id] = result.given
                else:
                    faults[str(result.facts["id"])] = result.problem
        return answers, faults

    def ask(self, checks: Sequence[SampleCheck], condition: str, keep_as: str = "") -> dict[str, str]:
        """Ask about every sample under one `condition`, and store the answers under `keep_as` (default: `condition`).

        Skips samples with a fault. Returns, by sample id, the reason for each answer that is missing.
        """
        sound = {check.id: check for check in checks if not check.fault}
        answers, faults = self.answers(
            [check.intervention.sample_for(condition) for check in sound.values()],
            lambda sample: sound[sample.id].intervention.images_for(condition, sound[sample.id].images),
        )
        for id, answer in answers.items():
            sound[id].answers[keep_as or condition] = answer
        return faults

    def attention(self, checks: Sequence[SampleCheck]) -> list[AttentionRows | ByeError]:
        """Return, for each sample with its spots covered, its attention rows or the error that prevented it."""
        covered = [check.intervention.images_for(COVERED, check.images) for check in checks]
        return read_attention(self._loaded, [check.sample for check in checks], covered)
