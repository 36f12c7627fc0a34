"""The batches of work that a model does for the stages: reading attention, and answering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from bye_core.data import DataSet, sample_fault
from bye_core.data.images import decode_sample
from bye_core.errors import ByeError
from bye_core.model_protocol import Images, VisionLanguageModel
from bye_core.records import AttentionRows, Fault, Sample

if TYPE_CHECKING:
    from bye_core.attention.preparation import Job

Readings = tuple[list[AttentionRows], list[Fault]]


def read_rows(
    loaded: VisionLanguageModel,
    samples: Sequence[Sample],
    images: Mapping[str, Images],
    answers: bool,
    encoded: Any = None,
) -> Readings:
    """Return (rows of the samples, faults). A sample whose answer alone cannot be read has rows and a fault.

    images   by sample id; samples without images are left out
    answers  also read the likelihoods of the answers and, if there is an adapter, the attention of the model before
             fine-tuning
    encoded  the samples as a loader encoded them, if there are loaders
    """
    from bye_core.attention import Reading, read_attention, read_with_answers

    shown = [sample for sample in samples if sample.id in images]
    read: Any = read_with_answers if answers else read_attention
    rows, faults = [], []
    for sample, result in zip(shown, read(loaded, shown, [images[one.id] for one in shown], encoded), strict=True):
        if isinstance(result, ByeError):
            faults.append(sample_fault(sample, result))
        elif isinstance(result, Reading):
            rows.append(result.rows)
            faults += [replace(sample_fault(sample, result.unread), fatal=False)] if result.unread else []
        else:
            rows.append(result)
    return rows, faults


@dataclass(frozen=True)
class ScanTask:
    """One batch of a scan: its groups of samples that are decoded together. The result has its rows and faults."""

    jobs: Sequence[Job]
    answers: bool

    @property
    def batch(self) -> Sequence[Sample]:
        """All samples of the batch."""
        return self.jobs[-1].batch or ()

    @property
    def ids(self) -> list[str]:
        return [sample.id for job in self.jobs for sample in job.samples]

    def prepare(self) -> Any:
        """Decode the first group; the others follow one by one, so that a batch of large images needs little memory."""
        return _decode(self.jobs[0])

    def run(self, loaded: VisionLanguageModel, prepared: Any) -> Readings:
        rows: list[AttentionRows] = []
        faults: list[Fault] = []
        for job in self.jobs:
            images, broken = prepared or _decode(job)
            prepared = None
            read, unread = read_rows(loaded, job.samples, images, self.answers)
            rows, faults = rows + read, faults + job.faults + broken + unread
        return rows, faults

    def split(self) -> list[ScanTask]:
        return [
            ScanTask(
                [replace(job, samples=[sample], faults=[f for f in job.faults if f.id == sample.id])], self.answers
            )
            for job in self.jobs
            for sample in job.samples
        ]

    def join(self, results: Sequence[Readings]) -> Readings:
        return [row for rows, _ in results for row in rows], [fault for _, faults in results for fault in faults]

    def fail(self, error: ByeError) -> Readings:
        return [], [sample_fault(self.jobs[0].samples[0], error)]


def _decode(job: Job) -> tuple[Mapping[str, Images], list[Fault]]:
    from bye_core.pipeline.open_batches import decode_job

    return decode_job(job)


@dataclass(frozen=True)
class ImageTask:
    """A batch of samples with the stored bytes of their images, by id, or the error that prevented reading them.

    The result has one entry for each sample. Subclasses define `show`, which may change the images, `process`, which
    runs the model, and `failure`, the entry of a sample that failed.
    """

    samples: Sequence[Sample]
    stored: Mapping[str, Sequence[Any] | Exception]

    @property
    def ids(self) -> list[str]:
        return [sample.id for sample in self.samples]

    def prepare(self) -> dict[str, Any]:
        """Return, by sample id, the images or the exception that prevented them."""
        return {sample.id: self._open(sample) for sample in self.samples}

    def run(self, loaded: VisionLanguageModel, prepared: Mapping[str, Any]) -> list[Any]:
        def images(sample: Sample) -> Any:
            if isinstance(prepared[sample.id], Exception):
                raise prepared[sample.id]
            return prepared[sample.id]

        return self.process(loaded, images)

    def show(self, sample: Sample, images: Any) -> Any:
        return images

    def process(self, loaded: VisionLanguageModel, images: Callable[[Sample], Any]) -> list[Any]:
        raise NotImplementedError

    def failure(self, sample: Sample, error: ByeError) -> Any:
        return error

    def split(self) -> list[ImageTask]:
        return [replace(self, samples=[sample], stored={sample.id: self.stored[sample.id]}) for sample in self.samples]

    def join(self, results: Sequence[list[Any]]) -> list[Any]:
        return [entry for entries in results for entry in entries]

    def fail(self, error: ByeError) -> list[Any]:
        return [self.failure(self.samples[0], error)]

    def _open(self, sample: Sample) -> Any:
        content = self.stored[sample.id]
        if isinstance(content, Exception):
            return content
        try:
            return self.show(sample, decode_sample(zip(sample.images, content, strict=True)))
        except Exception as error:  # noqa: BLE001 - raised again where the images are used
            return error


@dataclass(frozen=True)
class AnswerTask(ImageTask):
    """Generates answers for a batch; the result has the ModelAnswer or the NotAnswered of each sample."""

    def process(self, loaded: VisionLanguageModel, images: Callable[[Sample], Any]) -> list[Any]:
        from bye_core.models.calls import generate_answers

        return [
            answer for batch in generate_answers(loaded, self.samples, images, len(self.samples)) for answer in batch
        ]

    def failure(self, sample: Sample, error: ByeError) -> Any:
        from bye_core.models.errors import NotAnswered

        return NotAnswered(id=sample.id, reason=str(error.facts.get("reason", error.problem)).rstrip("."))


@dataclass(frozen=True)
class RowsTask(ImageTask):
    """Reads the attention rows of a batch; the result has the rows or the error of each sample."""

    def process(self, loaded: VisionLanguageModel, images: Callable[[Sample], Any]) -> list[Any]:
        from bye_core.attention import read_attention

        outcomes: dict[str, AttentionRows | ByeError] = {}
        opened: list[tuple[Sample, Any]] = []
        for sample in self.samples:
            try:
                opened.append((sample, images(sample)))
            except ByeError as error:
                outcomes[sample.id] = error
        good = [sample for sample, _ in opened]
        read = read_attention(loaded, good, [shown for _, shown in opened])
        outcomes.update(zip((sample.id for sample in good), read, strict=True))
        return [outcomes[sample.id] for sample in self.samples]


def stored_images(dataset: DataSet, samples: Iterable[Sample]) -> dict[str, Sequence[bytes] | ByeError]:
    """Return the stored bytes of the samples' images, by id, or why they cannot be read."""
    stored: dict[str, Sequence[bytes] | ByeError] = {}
    for sample in samples:
        try:
            stored[sample.id] = [dataset.image_bytes(sample, k) for k in range(len(sample.images))]
        except ByeError as error:
            stored[sample.id] = error
    return stored


Item = TypeVar("Item")


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield the items in batches of `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
