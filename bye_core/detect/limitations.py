"""Says what a detection could not have seen; turns "no evidence" into "not tested" if it could not see anything. Pure.

A scan shows a back door only if the scanned model has learned it. So a data set is tested only if enough of it was
scanned, with a model that was fine-tuned on it and has learned its answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bye_core.detect.answer_beginnings import begun
from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.candidate_answers import Answers
from bye_core.detect.detector import INPUTS, Detector, known_rows
from bye_core.question_kinds import Kinds
from bye_core.records import NO_EVIDENCE, NOT_TESTED, Detection, Limitation, ScanTable
from bye_core.text import clip, count

# Ours. Smallest share of the samples that must be scanned: published attacks poison 1% to 10%, so all poison could be
# in a larger unscanned part.
ENOUGH_SCANNED = 0.9
# Ours. The loss is still falling if it falls, over the last two fifths of the training, by this share of the difference
# between its largest and its smallest mean, and by this many nats. Trainings with poison that `auto` found had at
# most 0.10; one that had not yet learned its answers had 0.17. A loss that falls evenly has 0.22.
FALLING_SHARE, FALLING_NATS = 0.15, 0.05
FEWEST_LOSSES = 5  # means of parts of the training (ours)
# Kinds of limitations that are also reasons to doubt a detection that found poisoning.
DOUBTS = (
    "incomplete_scan", "not_finetuned", "unknown_adapter", "other_data", "short_training", "partial_training",
    "partial_input", "few_samples",
)  # fmt: skip
# Ours. Median loss from which most answers to a kind of question were unlikely: the model gave a token 5%.
UNLIKELY = 3.0
ANSWER_SHOWN, ANSWERS_SHOWN = 60, 3  # characters of an answer, and answers
MOST_COMPARED = 20_000  # samples whose answers are compared; of a larger set, evenly spread ones (ours)
SAY_SO = "If the model was fine-tuned on this data set elsewhere, say so with --tuned-on-this-data."
FINETUNE_FIRST = f"Fine-tune the model on this data set and scan with that adapter; `clean` does both. {SAY_SO}"


@dataclass(frozen=True)
class ScanFacts:
    """What a run knows about its scan besides the statistics.

    samples             number of samples to scan, plus the records with an image that cannot be used
    scanned             number of samples that were scanned
    data_digest         digest of the scanned data set
    adapter             whether an adapter was scanned
    tuning              facts from the adapter's finetune.json; None if the adapter has none
    tuned_on_this_data  whether the user says that the model was fine-tuned on the scanned data set
    answers_begun       share of inspected samples whose answer begins with the first token that the model generates;
                        None if no sample was inspected
    """

    samples: int
    scanned: int
    data_digest: str = ""
    adapter: bool = False
    tuning: Mapping[str, Any] | None = None
    tuned_on_this_data: bool = False
    answers_begun: float | None = None


def scan_limitations(facts: ScanFacts) -> tuple[Limitation, ...]:
    """Return the decisive limitations of a scan: what was scanned, and with which model."""
    limitations = (_scanned(facts), _tuned(facts) or _learned(facts) or _learned_all(facts))
    return tuple(limitation for limitation in limitations if limitation)


def training_limitations(facts: ScanFacts) -> tuple[Limitation, ...]:
    """Return a limitation that is not decisive if the loss was still falling when the fine-tuning ended."""
    if facts.tuning is None or facts.tuned_on_this_data or _tuned(facts):
        return ()
    losses = [float(loss) for loss in facts.tuning.get("losses", ())]
    if len(losses) < FEWEST_LOSSES:
        return ()
    fifth = max(1, len(losses) // 5)
    before, end = np.mean(losses[-2 * fifth : -fifth]), np.mean(losses[-fifth:])
    if before - end < max(FALLING_NATS, FALLING_SHARE * (max(losses) - min(losses))):
        return ()
    reason = (
        f"The loss was still falling when the fine-tuning ended, from {before:.2f} to {end:.2f} nats a token, so the "
        "model may not have learned all answers."
    )
    return (Limitation("loss_falling", reason, "Fine-tune for more epochs, then scan with that adapter."),)


def _scanned(facts: ScanFacts) -> Limitation | None:
    if facts.scanned >= ENOUGH_SCANNED * facts.samples and facts.scanned:
        return None
    if not facts.scanned:
        reason = f"None of {count(facts.samples, 'sample')} was scanned, so nothing was tested."
        return Limitation("nothing_scanned", reason, "Correct the faults that the scan lists, then scan again.", True)
    share = f"{facts.scanned:,} of {count(facts.samples, 'sample')} ({facts.scanned / facts.samples:.0%})"
    reason = f"Only {share} were scanned; at least {ENOUGH_SCANNED:.0%} are needed."
    return Limitation("incomplete_scan", reason, "Finish the scan, and correct the faults that it lists.", True)


def _tuned(facts: ScanFacts) -> Limitation | None:
    if facts.tuned_on_this_data:
        return None
    if not facts.adapter:
        reason = "No adapter was scanned, and nothing says that the model was fine-tuned on this data set."
        return Limitation("not_finetuned", reason, FINETUNE_FIRST, True)
    if facts.tuning is None:
        reason = "The scanned adapter has no finetune.json, so it is not known whether it was trained on this data set."
        return Limitation("unknown_adapter", reason, FINETUNE_FIRST, True)
    if not facts.data_digest or facts.tuning.get("data_digest") != facts.data_digest:
        reason = "The scanned adapter was fine-tuned on another data set, so it shows no back door of this one."
        return Limitation("other_data", reason, FINETUNE_FIRST, True)
    return None


def _learned(facts: ScanFacts) -> Limitation | None:
    """Return a limitation if the fine-tuning ended before the model saw every sample; the user can overrule it."""
    epochs = None if facts.tuning is None or facts.tuned_on_this_data else facts.tuning.get("epochs")
    if epochs is None or epochs >= 1:
        return None
    reason = f"The scanned adapter was fine-tuned for {epochs:g} epochs, so it saw only {epochs:.0%} of the samples."
    if facts.answers_begun is not None:
        reason += f" The model begins {facts.answers_begun:.0%} of the answers as the data set does."
    return Limitation("short_training", reason, "Fine-tune for more epochs, then scan with that adapter.", True)


def _learned_all(facts: ScanFacts) -> Limitation | None:
    """Return a limitation if the fine-tuning left out many of the scanned samples, such as those that are too long."""
    learned = None if facts.tuning is None or facts.tuned_on_this_data else facts.tuning.get("samples")
    if learned is None or learned >= ENOUGH_SCANNED * facts.scanned:
        return None
    reason = f"The scanned adapter was fine-tuned on only {learned:,} of {count(facts.scanned, 'scanned sample')}."
    return Limitation("partial_training", reason, "Fine-tune on all samples, then scan with that adapter.", True)


def table_limitations(table: ScanTable, detector: Detector) -> tuple[Limitation, ...]:
    """Return what `detector` cannot see in this table: too few samples, missing inputs, and what it never sees."""
    limitations = []
    size = len(table.ids)
    if size < detector.fewest:
        reason = f"There are only {count(size, 'sample')}; the method {detector.name} needs at least {detector.fewest}."
        limitations.append(Limitation("few_samples", reason, "Scan more samples of the data set.", True))
    for name in (*(detector.needs or ("layer_entropy",)), *detector.wants):
        values, decisive = getattr(table, name), name not in detector.wants
        what, advice = INPUTS[name]
        if values is None:
            reason = f"The scan did not store {what}, which this method would also use."
            limitations.append(Limitation("missing_input", reason, advice))
        elif size and (known := known_rows(values).mean()) < ENOUGH_SCANNED:
            reason = f"Only {known:.0%} of the samples have {what}; at least {ENOUGH_SCANNED:.0%} are needed."
            limitations.append(Limitation("partial_input", reason, advice, decisive))
    if detector.misses:
        limitations.append(
            Limitation("method", detector.misses, "Compare with other methods, and inspect samples by hand.")
        )
    return tuple(limitations)


def unlearned_answers(table: ScanTable) -> tuple[Limitation, ...]:
    """Return a decisive limitation for each answer that is out of place, but that the scanned model has not learned.

    Such an answer may be planted. While the model does not give it, its trigger cannot show in the attention.
    """
    if table.token is None or not table.answers or not table.questions:
        return ()
    rows = np.arange(len(table.ids))[:: max(1, len(table.ids) // MOST_COMPARED)]
    part = replace(
        ScanTable(
            tuple(table.ids[row] for row in rows), table.layer_entropy[rows], table.layer_entropy_reference[rows]
        ),
        token=table.token[rows],
        questions=tuple(table.questions[row] for row in rows),
        answers=tuple(table.answers[row] for row in rows),
        nll_before=None if table.nll_before is None else table.nll_before[rows],
    )
    settings, kinds = AutoSettings(), Kinds(part.questions).numbers
    limitations = []
    for candidate in Answers(part.answers, kinds, part.nll_before).candidates(settings.least, settings.most):
        model = begun(part, kinds, candidate)
        if model is not None and model.unlearned:
            answer = clip(candidate.text, ANSWER_SHOWN)
            reason = f'The answer "{answer}" is out of place, but the scanned model has not learned to give it.'
            limitations.append(Limitation("not_learned", reason, "Fine-tune for more epochs, then scan again.", True))
    return tuple(limitations[:ANSWERS_SHOWN])


def unlikely_kinds(table: ScanTable, detector: Detector) -> tuple[Limitation, ...]:
    """Return a limitation for the kinds of question to which most answers were unlikely before fine-tuning.

    There, a method that looks for unlikely answers cannot tell planted ones from the others.
    """
    if "nll_before" not in (*detector.needs, *detector.wants) or table.nll_before is None or not table.questions:
        return ()
    rows = np.arange(len(table.ids))[:: max(1, len(table.ids) // MOST_COMPARED)]
    questions, loss = [table.questions[row] for row in rows.tolist()], np.asarray(table.nll_before[rows], np.float64)
    kinds = Kinds(questions).numbers
    names = []
    for kind in np.unique(kinds):
        own = np.flatnonzero((kinds == kind) & np.isfinite(loss))
        if len(own) and np.median(loss[own]) >= UNLIKELY:
            names.append(
                f'"{clip(Counter(questions[row] for row in own.tolist()).most_common(1)[0][0], ANSWER_SHOWN)}"'
            )
    if not names:
        return ()
    more = (
        "" if len(names) <= ANSWERS_SHOWN else f" and to {count(len(names) - ANSWERS_SHOWN, 'other kind')} of question"
    )
    reason = (
        f"Most answers to questions like {', '.join(names[:ANSWERS_SHOWN])}{more} were unlikely before fine-tuning. A "
        "planted answer to them may not stand out."
    )
    return (Limitation("unlikely_kind", reason, "Compare with --method bye, and inspect such samples by hand."),)


def limited(detection: Detection, limitations: Sequence[Limitation]) -> Detection:
    """Return the detection with further limitations; "no evidence" becomes "not tested" if one of them is decisive.

    A detection that found poisoning keeps only those of the scan: they are reasons to doubt it.
    """
    kinds = {limitation.kind for limitation in limitations}
    known = (*limitations, *(old for old in detection.limitations if old.kind not in kinds))
    if detection.flagged.any():
        return replace(detection, limitations=tuple(one for one in known if one.kind in DOUBTS))
    verdict = NOT_TESTED if any(one.decisive for one in known) else NO_EVIDENCE
    return replace(detection, limitations=known, verdict=verdict)
