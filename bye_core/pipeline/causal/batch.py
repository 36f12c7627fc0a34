"""Runs the tests of a causal check on batches of flagged samples, and says in which order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from bye_core.data import DataSet
from bye_core.errors import ByeError
from bye_core.evidence import (
    CONDITIONS,
    COVERED,
    COVERED_CONTROL,
    OTHER_QUESTIONS,
    SEVERAL_SPOTS,
    Dossier,
    Intervention,
)
from bye_core.pipeline.causal.insertion import RecipientPool, run_insertion_test
from bye_core.pipeline.causal.occlusion_growth import grow_occlusion
from bye_core.pipeline.causal.region_search import RegionSearch
from bye_core.pipeline.causal.scanned_model import SampleCheck, ScannedModel
from bye_core.workers import Runner

UNSETTLED = ("stays", "any", "unknown")  # outcomes that further tests may change


class CausalTests:
    """The tests of one causal check. All batches share the answers to unchanged recipients and the search's results."""

    def __init__(self, runner: Runner, dataset: DataSet, dossier: Dossier, batch_size: int) -> None:
        self._dataset, self._dossier = dataset, dossier
        self._model = ScannedModel(runner, batch_size)
        self._recipients = RecipientPool(self._model, dataset)
        self._search = RegionSearch(self._model, dataset, self._recipients)

    def run(self, batches: Sequence[Sequence[Intervention]]) -> Iterator[list[SampleCheck]]:
        """Yield the checks of each batch, in the same order; a check's `fault` says why the model could not be asked.

        Several workers share the first tests of all `batches`. The other tests depend on the batches before, so these
        run batch by batch: the answers are the same for any number of batches at a time.
        """
        opened = [[self._open(one, number) for one in batch] for number, batch in enumerate(batches)]
        checks = [check for batch in opened for check in batch]
        self._ask_planned(checks)
        if self._dossier.target and self._dossier.layer is not None:
            layer = self._dossier.layer.layer
            grow_occlusion([check for check in checks if _stays_covered(check)], self._model, layer)
        for batch in opened:
            self._finish(batch)
            yield batch

    def _finish(self, checks: Sequence[SampleCheck]) -> None:
        """Run the tests of one batch that use results of earlier batches."""
        # Without a target, these tests say nothing: with much of the image covered, the model may give any answer.
        if self._dossier.target:
            self._search.run([check for check in checks if _is_unsettled(check)])
        by_suspect: dict[str, list[SampleCheck]] = defaultdict(list)
        for check in checks:
            if (cause := check.cause()).flips:
                by_suspect[cause.suspect].append(check)
        occluded = [check for suspect, group in by_suspect.items() if suspect != "words" for check in group]
        run_insertion_test(occluded, self._recipients, self._model, self._dataset)
        if self._dossier.recipients and self._dossier.recipients.one_kind:
            self._ask_other_questions([check for suspect in SEVERAL_SPOTS for check in by_suspect[suspect]])

    def _open(self, intervention: Intervention, batch: int) -> SampleCheck:
        check = SampleCheck(intervention, self._dossier.target, batch)
        try:
            check.images = self._dataset.images(self._dataset.by_id[check.id])
        except ByeError as error:
            check.fault = error.problem
        return check

    def _ask_planned(self, checks: Sequence[SampleCheck]) -> None:
        """Ask about each sample under every condition that its intervention lists, until it has a fault."""
        by_id = {check.id: check for check in checks}
        for condition in CONDITIONS:
            faults = self._model.ask(
                [check for check in checks if condition in check.intervention.conditions], condition
            )
            for id, reason in faults.items():
                by_id[id].fault = reason

    def _ask_other_questions(self, checks: Sequence[SampleCheck]) -> None:
        """Ask other questions about the same images; samples without an answer are ignored."""
        for condition in OTHER_QUESTIONS:
            self._model.ask(checks, condition)


def _is_unsettled(check: SampleCheck) -> bool:
    return not check.fault and check.cause().outcome in UNSETTLED


def _stays_covered(check: SampleCheck) -> bool:
    """Return whether the answer is still the target with the spot covered, and the outcome is still unsettled."""
    asked = {COVERED, COVERED_CONTROL} <= check.answers.keys()
    return asked and _is_unsettled(check) and check.at_target(check.answers[COVERED])
