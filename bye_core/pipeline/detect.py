"""Detects poisoned samples from the statistics of a run. Needs no model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bye_core import detect, runs
from bye_core.data.faults import NoImage
from bye_core.detect.limitations import ScanFacts, limited, scan_limitations, training_limitations
from bye_core.errors import RunError, printable
from bye_core.records import NOT_TESTED, Detection, Limitation, ScanTable
from bye_core.sample_file import indices_of
from bye_core.text import count
from bye_core.train.settings import checked_facts, training_facts

# Shards of at most this size are read in full before each detection, in about a second; a scan reads all (ours).
VERIFIED_BYTES = 2**30
NAMED, LONGEST_ID = 5, 60  # damaged samples that a limitation names, and characters of an id
INSPECTED = 500  # compared samples; the error of the share is then below 5 percentage points (ours)


class NothingDetected(RunError):
    problem = "The run {path} holds no detection yet."
    remedy = "Run `python -m bye_core detect --run {path}` first."


def detect_run(
    run_path: Path, method: str = detect.DEFAULT, tuned_on_this_data: bool = False, /, **settings: Any
) -> Detection:
    """Run `method` on a run's statistics and save the detection in the run. `settings` are the method's settings.

    `tuned_on_this_data`: the user says that the scanned model was fine-tuned on this data set; the run remembers it.
    """
    run = runs.Run.open(run_path)
    if tuned_on_this_data:
        run.remember(tuned_on_this_data=True)
    if run.stored_bytes() <= VERIFIED_BYTES:
        run.verify()
    detection = detect_scan(run, run.table(), method, **settings)
    detection = replace(detection, limitations=(*detection.limitations, *_damage(run)))
    try:
        run.save_detection(detection)
    except runs.RunNotWritable as error:
        unsaved = Limitation("not_saved", f"This detection was not saved. {error.problem}", error.remedy, False)
        return replace(detection, limitations=(*detection.limitations, unsaved))
    return detection


def _damage(run: runs.Run) -> tuple[Limitation, ...]:
    """Return a limitation that names the samples whose stored rows are damaged; () if there are none."""
    ids = run.damaged()
    if not ids:
        return ()
    named = ", ".join(printable(id, LONGEST_ID) for id in ids[:NAMED]) + (" ..." if len(ids) > NAMED else "")
    problem = f"The stored rows of {count(len(ids), 'sample')} failed their checksum and were left out: {named}."
    remedy = "Scan again with the same --run. Only missing and damaged samples are scanned."
    return (Limitation("damaged_rows", problem, remedy, decisive=False),)


def detect_scan(run: runs.Run, table: ScanTable, method: str = detect.DEFAULT, /, **settings: Any) -> Detection:
    """Return a detection on the run's statistics `table`, with the limitations of the scan; does not save it."""
    facts = scan_facts(run)
    return limited(detect.detect(table, method, **settings), (*scan_limitations(facts), *training_limitations(facts)))


def scan_facts(run: runs.Run) -> ScanFacts:
    """Return what decides whether the scan of a run could have shown a back door."""
    settings, counts = run.settings, run.counts()
    # A record without an image is not counted: it cannot carry a trigger in an image.
    refused = {fault.index for fault in run.failed() if fault.kind != NoImage.__name__}
    refused = refused.difference(indices_of(run.samples()) if refused else ())
    return ScanFacts(
        samples=counts.total + len(refused),
        scanned=counts.scored,
        data_digest=settings.data_digest,
        adapter=settings.adapter_digest is not None,
        tuning=checked_facts(settings.tuning) if settings.tuning else _card(settings),
        tuned_on_this_data=settings.tuned_on_this_data,
        answers_begun=_answers_begun(run),
    )


def _card(settings: runs.RunSettings) -> dict[str, Any] | None:
    """Return the facts of the scanned adapter's card for a run of an earlier version, which did not store them."""
    from bye_core.models.files import ADAPTER_HASHED, combined, digests

    folder = Path(settings.adapter or "")
    if settings.adapter is None or not folder.is_dir():
        return None
    return training_facts(folder) if combined(digests(folder, ADAPTER_HASHED)) == settings.adapter_digest else None


def _answers_begun(run: runs.Run) -> float | None:
    """Return the share of samples whose answer begins with the model's first token, among INSPECTED spread samples."""
    positions = run.scored_positions()
    samples = [run.samples()[k] for k in positions[:: max(1, len(positions) // INSPECTED)][:INSPECTED].tolist()]
    answers = {sample.id: sample.answer for sample in samples}
    # Some tokenizers begin a rare word with a blank token, which says nothing.
    starts = [(answers[row.id].strip().casefold(), row.token_text.strip().casefold()) for row in run.rows_of(answers)]
    matches = [answer.startswith(token) for answer, token in starts if token]
    return sum(matches) / len(matches) if matches else None


def detect_once(run_path: Path) -> Detection:
    """Return the last detection, or detect again with its method and settings, or with the default method.

    It is detected again if there are samples that the last detection does not cover, or if it could not test the data
    set, because the reason may no longer hold.
    """
    run = runs.Run.open(run_path)
    last = run.detection()
    if last is None:
        return detect_run(run_path)
    tested = last.verdict != NOT_TESTED
    return last if tested and covers_all(last, run) else detect_run(run_path, last.method, **last.settings)


def covers_all(detection: Detection, run: runs.Run) -> bool:
    """Return whether the detection covers all scanned samples."""
    return set(detection.ids) == set(run.scored_ids())


def detect_entropies(
    path: Path, method: str = detect.default_method(entropy_file=True), /, **settings: Any
) -> Detection:
    """Run `method` on a file of entropies (JSON lines), as written by the BYE authors' code or another program."""
    return detect.detect(detect.read_entropies(path), method, **settings)


def last_detection(run: runs.Run) -> Detection:
    """Return the run's last detection. Raises: NothingDetected if there is none."""
    detection = run.detection()
    if detection is None:
        raise NothingDetected(path=run.path)
    return detection
