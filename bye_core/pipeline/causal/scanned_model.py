"""Asks the scanned model about flagged samples, and stores the answers by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from PIL import Image

from bye_core.errors import ByeError
from bye_core.evidence import COVERED, CausalOutcome, Intervention, SharedAnswer, at_target, judge_outcome
from bye_core.pipeline.tasks import AnswerTask, ImageTask, RowsTask, chunks
from bye_core.records import AttentionRows, ModelAnswer, Sample
from bye_core.workers import Runner

Images = list[Image.Image]


@dataclass(eq=False)
class SampleCheck:
    """The state of one sample's causal check.

    batch     the number of the batch of interventions that the sample is in
    target    the suspected target, None if no answer is over-represented among the flagged samples
    cell      width and height of the attention cell that was covered last, as fractions of the image
    answers   the model's answers by condition (evidence.CONDITIONS and the conditions of later tests)
    inserted  by recipient id, the answer with this sample's covered spots pasted into the recipient's image
    fault     why the model could not be asked, "" if it could
    """

    intervention: Intervention
    target: SharedAnswer | None
    batch: int = 0
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


class _Shown:
    """A task whose `stored` images are decoded already: they have covered or pasted spots."""

    stored: Mapping[str, Sequence[Any] | Exception]

    def _open(self, sample: Sample) -> Any:
        return self.stored[sample.id]


class CheckAnswers(_Shown, AnswerTask):
    """Generates answers to changed images."""


class CheckRows(_Shown, RowsTask):
    """Reads attention rows on changed images."""


Work = TypeVar("Work", bound=ImageTask)
OpenShown = Callable[[Sample], Images]


class ScannedModel:
    """The scanned model, asked in batches of at most `batch_size` samples.

    Samples of several batches of interventions are never asked together: so the answers do not depend on how many
    batches are checked at the same time.
    """

    def __init__(self, runner: Runner, batch_size: int) -> None:
        self._runner = runner
        self.batch_size = batch_size

    def answers(self, samples: Sequence[Sample], images: OpenShown) -> tuple[dict[str, str], dict[str, str]]:
        """Return (answers by sample id, reasons by id of the samples without an answer)."""
        return self._answers(chunks(samples, self.batch_size), images)

    def ask(self, checks: Sequence[SampleCheck], condition: str, keep_as: str = "") -> dict[str, str]:
        """Ask about every sample under one `condition`, and store the answers under `keep_as` (default: `condition`).

        Skips samples with a fault. Returns, by sample id, the reason for each answer that is missing.
        """
        sound = {check.id: check for check in checks if not check.fault}
        groups = [
            [check.intervention.sample_for(condition) for check in group] for group in self._groups(sound.values())
        ]
        answers, faults = self._answers(
            groups, lambda sample: sound[sample.id].intervention.images_for(condition, sound[sample.id].images)
        )
        for id, answer in answers.items():
            sound[id].answers[keep_as or condition] = answer
        return faults

    def attention(self, checks: Sequence[SampleCheck]) -> list[AttentionRows | ByeError]:
        """Return, for each sample with its spots covered, its attention rows or the error that prevented it."""
        by_id = {check.id: check for check in checks}
        groups = [[check.sample for check in group] for group in self._groups(checks)]

        def covered(sample: Sample) -> Images:
            return by_id[sample.id].intervention.images_for(COVERED, by_id[sample.id].images)

        rows: dict[str, AttentionRows | ByeError] = {}
        for task, results in self._runner.map(_tasks(CheckRows, groups, covered)):
            rows.update(zip(task.ids, results, strict=True))
        return [rows[check.id] for check in checks]

    def _answers(self, groups: Iterable[Sequence[Sample]], images: OpenShown) -> tuple[dict[str, str], dict[str, str]]:
        answers, faults = {}, {}
        for _, results in self._runner.map(_tasks(CheckAnswers, groups, images)):
            for result in results:
                if isinstance(result, ModelAnswer):
                    answers[result.id] = result.given
                else:
                    faults[str(result.facts["id"])] = result.problem
        return answers, faults

    def _groups(self, checks: Iterable[SampleCheck]) -> Iterator[Sequence[SampleCheck]]:
        """Yield groups of at most `batch_size` checks of the same batch."""
        by_batch: dict[int, list[SampleCheck]] = {}
        for check in checks:
            by_batch.setdefault(check.batch, []).append(check)
        for _, group in sorted(by_batch.items()):
            yield from chunks(group, self.batch_size)


def _tasks(kind: type[Work], groups: Iterable[Sequence[Sample]], images: OpenShown) -> Iterator[Work]:
    for group in groups:
        yield kind(group, {sample.id: _shown(sample, images) for sample in group})


def _shown(sample: Sample, images: OpenShown) -> Images | Exception:
    try:
        return images(sample)
    except Exception as error:  # noqa: BLE001 - raised again where the images are used
        return error
