"""Pastes suspected spots into other samples' images (insertion test). A trigger turns their answers into the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bye_core.data import DataSet
from bye_core.errors import ByeError
from bye_core.evidence import paste
from bye_core.pipeline.causal.scanned_model import Images, SampleCheck, ScannedModel
from bye_core.records import Sample


class RecipientPool:
    """The recipients (samples whose images receive pasted spots), and the model's answers to their unchanged images."""

    def __init__(self, model: ScannedModel, dataset: DataSet) -> None:
        self._model, self._dataset = model, dataset
        self._answers: dict[str, str | None] = {}  # by id; None if the model gives no answer

    def images(self, id: str) -> Images:
        """Return a recipient's images, or [] if they do not open (which the scan has reported)."""
        try:
            return self._dataset.images(self._dataset.by_id[id])
        except ByeError:
            return []

    def ask_unchanged(self, checks: Iterable[SampleCheck]) -> None:
        """Ask the model about those recipients of `checks` that it has not answered before, with unchanged images."""
        wanted = sorted({id for check in checks for id in check.intervention.recipients})
        new = [id for id in wanted if id not in self._answers]
        self._answers |= dict.fromkeys(new)
        self._answers |= self._model.answers([self._dataset.by_id[id] for id in new], self._dataset.images)[0]

    def usable(self, check: SampleCheck) -> Iterator[str]:
        """Yield the ids of the recipients for which the model gives an answer other than the target."""
        for id in check.intervention.recipients:
            answer = self._answers[id]
            if answer is not None and not check.at_target(answer):
                yield id

    def first(self, check: SampleCheck) -> tuple[str, Images] | None:
        """Return (id, images) of the first usable recipient whose images open, or None if there is none."""
        opened = ((id, images) for id in self.usable(check) if (images := self.images(id)))
        return next(opened, None)


def run_insertion_test(
    checks: Sequence[SampleCheck], recipients: RecipientPool, model: ScannedModel, dataset: DataSet
) -> None:
    """Paste the covered spots of each sample into the images of its recipients, and store the model's answers.

    Skips a recipient for which the model gives no answer.
    """
    recipients.ask_unchanged(checks)
    pairs = [(check, id) for check in checks for id in recipients.usable(check)]

    def pasted(sample: Sample) -> Images:
        check, id = pairs[int(sample.id)]
        first, *others = dataset.images(dataset.by_id[id])
        return [paste(first, check.source, check.intervention.spots), *others]

    # The id is the position of the pair: one recipient may serve several samples.
    samples = [replace(dataset.by_id[id], id=str(position)) for position, (_, id) in enumerate(pairs)]
    answers, _ = model.answers(samples, pasted)
    for position, answer in answers.items():
        check, id = pairs[int(position)]
        check.inserted[id] = answer
