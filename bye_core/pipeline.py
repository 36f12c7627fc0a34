"""Chains the stages: the command line and the app both call this module, and so give the same answer.

Long stages are generators of Progress: what they yield is saved already, stopping the loop stops the stage, and
calling again goes on where it stopped. Models are loaded only by the functions that need one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bye_core import attacks, detect, runs
from bye_core.attacks.poison import choose, plant
from bye_core.data import DataSet, export, fault_of, load_dataset
from bye_core.data import check as look
from bye_core.data.compose import compose
from bye_core.errors import ByeError, DataError, RunError
from bye_core.records import AttentionRows, Decision, Detection, Fault, Progress, Sample
from bye_core.train.child import run_child
from bye_core.train.settings import AdapterExists, FinetuneSettings, finished

TRUTH = "truth.json"
# Samples a forward pass: enough to fill two CPU cores or a large GPU; out-of-memory halves a batch by itself (ours).
BATCH = {"cpu": 16, "cuda": 32, "mps": 16}


class NoSampleReady(DataError):
    problem = "None of the {size} records of {path} can be used."
    remedy = "Run `python -m bye_core check {path}` and mend the faults that it lists."


class NothingDetected(RunError):
    problem = "The run {path} holds no detection yet."
    remedy = "Run `python -m bye_core detect --run {path}` first."


class UnreadableTruth(DataError):
    problem = "{path} is no truth file: {reason}."
    remedy = 'Give the truth.json that `poison` wrote: {{"poisoned": [ids], ...}}.'


def ready(path: str | Path, format: str | None = None, columns: Mapping[str, str] | None = None) -> DataSet:
    """A data set with at least one usable sample. Raises NoSampleReady."""
    dataset = load_dataset(path, format=format, columns=columns)
    if not dataset.samples:
        raise NoSampleReady(path=path, size=dataset.size)
    return dataset


def check(data: str | Path, format: str | None = None, columns: Mapping[str, str] | None = None) -> Iterator[Progress]:
    """Look at every record and picture; each item's facts hold the new `faults`, the last item's also a `summary`."""
    dataset = load_dataset(data, format=format, columns=columns)
    refused = sum(fault.fatal for fault in dataset.faults)
    total = len(dataset.samples)
    yield Progress("check", 0, total, facts={"faults": dataset.faults})
    for done, (_, faults) in enumerate(look(dataset), start=1):
        refused += any(fault.fatal for fault in faults)
        yield Progress("check", done, total, facts={"faults": faults})
    summary = {"format": dataset.format, "records": dataset.size, "ready": dataset.size - refused, "refused": refused}
    yield Progress("check", total, total, "done", {"faults": (), "summary": summary})


# --- poison ---------------------------------------------------------------------------------------------------


def poison(
    data: str | Path,
    out: Path,
    trigger: str = "patch",
    rate: float = 0.1,
    target: str = "Backdoor Attack!",
    seed: int = 0,
    size: float = 1 / 16,
    encoding: str = "jpeg",
) -> Iterator[Progress]:
    """Write a LLaVA copy of `data` to `out`, poisoned at `rate`, with truth.json. All pictures are encoded alike."""
    dataset, kind = ready(data), attacks.make_trigger(trigger, size)
    usable = [sample for sample in dataset.samples if _opens(dataset, sample)]
    chosen, boxes = choose(usable, rate, seed), {}

    def items() -> Iterator[tuple[Sample, list[Any]]]:
        for sample in usable:
            pictures = dataset.images(sample)
            if sample.id in chosen:
                sample, pictures, boxes[sample.id] = plant(sample, pictures, kind, target, seed)
            yield sample, pictures

    settings = {"trigger": trigger, "size": size, "rate": rate, "target": target, "seed": seed, "boxes": boxes}
    truth = {"poisoned": [sample.id for sample in usable if sample.id in chosen], **settings}
    for done, _ in enumerate(compose(items(), out, encoding, {TRUTH: truth}), start=1):
        yield Progress(
            "poison", done, len(usable), facts={"poisoned": len(chosen), "unreadable": dataset.size - len(usable)}
        )


def _opens(dataset: DataSet, sample: Sample) -> bool:
    try:
        dataset.images(sample)
    except ByeError:
        # The count of these is part of every Progress; `check` names them with their reasons.
        return False
    return True


# --- fine-tune, evaluate --------------------------------------------------------------------------------------


def finetune_here(model: str, data: str | Path, out: Path, settings: FinetuneSettings, device: str, dtype: str) -> None:
    """Fine-tune in this process; `finetune` runs this in a child."""
    from bye_core.models import load_model
    from bye_core.train.lora import finetune as train

    dataset = ready(data)
    usable = [sample for sample in dataset.samples if _opens(dataset, sample)]
    loaded = load_model(model, device=device, dtype=dtype)
    facts = {
        "model": loaded.identity,
        "data_digest": dataset.digest,
        "samples": len(usable),
        "left_out": dataset.size - len(usable),
        "versions": runs.versions(),
    }
    train(loaded, usable, dataset.images, settings, out, facts)


def finetune(
    model: str,
    data: str | Path,
    out: Path,
    settings: FinetuneSettings | None = None,
    device: str = "auto",
    dtype: str = "auto",
) -> Iterator[Progress]:
    """LoRA fine-tuning of `model` on `data` in a child process; the adapter is in `out` when the last item came."""
    if finished(out):
        raise AdapterExists(out=out)
    arguments = ["finetune", "--here", "--model", model, "--data", str(data), "--out", str(out)]
    arguments += ["--device", device, "--dtype", dtype]
    for name, value in asdict(settings or FinetuneSettings()).items():
        flag = name.replace("_", "-")
        arguments += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    for event in run_child(arguments, progress=out / "progress.jsonl", log=out / "log.txt"):
        yield Progress("finetune", event["step"], event["steps"], facts=event)


def evaluate(
    model: str,
    data: str | Path,
    adapter: str | Path | None = None,
    trigger: str | None = None,
    target: str = "Backdoor Attack!",
    size: float = 1 / 16,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
) -> Iterator[Progress]:
    """CP on `data` and, where a trigger is named, ASR on triggered copies; the last item's facts hold both."""
    from bye_core.models import load_model
    from bye_core.train import evaluate as judge

    dataset, kind = ready(data), attacks.make_trigger(trigger, size) if trigger else None
    usable = [sample for sample in dataset.samples if _opens(dataset, sample)]
    loaded = load_model(model, adapter, device=device, dtype=dtype)
    batch, rounds = BATCH[loaded.device.type], 2 if kind else 1
    facts: dict[str, Any] = {"samples": len(usable), "left_out": dataset.size - len(usable)}

    def triggered(sample: Sample) -> list[Any]:
        return plant(sample, dataset.images(sample), kind, target, seed)[1]

    clean, attacked = [], []
    for answers in judge.generate_answers(loaded, usable, dataset.images, batch):
        clean += answers
        yield Progress("evaluate", len(clean), rounds * len(usable))
    facts |= {"cp": judge.clean_performance(clean), "by_question": judge.by_question(clean)}
    if kind:
        for answers in judge.generate_answers(loaded, usable, triggered, batch):
            attacked += answers
            yield Progress("evaluate", len(clean) + len(attacked), rounds * len(usable))
        facts |= {"asr": judge.attack_success(attacked, target), "trigger": trigger, "target": target}
    yield Progress("evaluate", rounds * len(usable), rounds * len(usable), "done", facts)


# --- scan -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScanSettings:
    """`batch` 0 and "auto" choose by the machine; a run that exists already goes on with its own."""

    batch: int = 0
    device: str = "auto"
    dtype: str = "auto"


def scan(
    model: str,
    data: str | Path,
    run_path: Path,
    adapter: str | Path | None = None,
    settings: ScanSettings | None = None,
    format: str | None = None,
) -> Iterator[Progress]:
    """Read the attention rows of every sample that the run lacks; each yield is on disk already.

    Batches are cut from the data set's order alone and committed whole, so a scan that was killed and resumed stores
    the same bytes as one that was not. Samples that fail are stored as faults and do not end the scan.
    """
    from bye_core.attention import read_attention
    from bye_core.models import load_model

    settings = settings or ScanSettings()
    dataset = ready(data, format)
    loaded = load_model(model, adapter, device=settings.device, dtype=settings.dtype)
    run = runs.Run.prepare(run_path, _run_settings(loaded, dataset, adapter, settings, run_path), dataset.samples)
    with run.writing(), ThreadPoolExecutor(1) as reader:
        run.append([], dataset.faults)
        scored = run.scored_ids()
        size = run.settings.batch_size
        plan = [dataset.samples[start : start + size] for start in range(0, len(dataset.samples), size)]
        todo = [batch for batch in plan if any(sample.id not in scored for sample in batch)]
        done = len(dataset.samples) - sum(map(len, todo))
        yield _scan_progress(run, done, len(dataset.samples))
        # One batch of pictures is decoded ahead, while the model works on the one before.
        opening = reader.submit(_open_batch, dataset, todo[0]) if todo else None
        for place, batch in enumerate(todo):
            pictures, faults = opening.result()
            opening = reader.submit(_open_batch, dataset, todo[place + 1]) if place + 1 < len(todo) else None
            good = [sample for sample in batch if sample.id in pictures]
            results = read_attention(loaded, good, [pictures[sample.id] for sample in good])
            rows = [result for result in results if isinstance(result, AttentionRows)]
            faults += [
                fault_of(sample, result)
                for sample, result in zip(good, results, strict=True)
                if isinstance(result, ByeError)
            ]
            run.append(rows, faults)
            done += len(batch)
            yield _scan_progress(run, done, len(dataset.samples))


def _scan_progress(run: runs.Run, done: int, total: int) -> Progress:
    counts = run.counts()
    return Progress("scan", done, total, facts={"scored": counts.scored, "failed": counts.failed})


def failed(run_path: Path) -> tuple[Fault, ...]:
    """What the scan could not read, with reasons."""
    return runs.Run.open(run_path).failed()


def _open_batch(dataset: DataSet, batch: Sequence[Sample]) -> tuple[dict[str, list[Any]], list[Fault]]:
    pictures, faults = {}, []
    for sample in batch:
        try:
            pictures[sample.id] = dataset.images(sample)
        except ByeError as error:
            faults.append(fault_of(sample, error))
    return pictures, faults


def _run_settings(
    loaded: Any, dataset: DataSet, adapter: str | Path | None, settings: ScanSettings, run_path: Path
) -> runs.RunSettings:
    batch = settings.batch or BATCH[loaded.device.type]
    if not settings.batch and runs.is_run(run_path):
        batch = runs.Run.open(run_path).settings.batch_size
    return runs.RunSettings(
        model=loaded.identity["model"],
        model_digest=loaded.identity["model_digest"],
        adapter=str(adapter) if adapter else None,
        adapter_digest=loaded.identity.get("adapter_digest"),
        data=str(dataset.path),
        data_digest=dataset.digest,
        format=dataset.format,
        batch_size=batch,
        dtype=str(loaded.dtype).removeprefix("torch."),
        device=loaded.device.type,
    )


# --- detect, decide, export, score ----------------------------------------------------------------------------


def detect_run(run_path: Path, method: str = "bye", **settings: Any) -> Detection:
    """Detect on a run's statistics and keep the result in the run. Settings are the method's own."""
    run = runs.Run.open(run_path)
    detection = detect.detect(run.table(), method, **settings)
    run.save_detection(detection)
    return detection


def detect_entropies(path: Path, method: str = "bye", **settings: Any) -> Detection:
    """Detect on a BYE entropy JSONL: scores of another program, no run and no model needed."""
    return detect.detect(detect.read_entropies(path), method, **settings)


def last_detection(run: runs.Run) -> Detection:
    """Raises NothingDetected."""
    detection = run.detection()
    if detection is None:
        raise NothingDetected(path=run.path)
    return detection


def decide(
    run_path: Path,
    choices: Mapping[str, str] | None = None,
    reject_flagged: bool = False,
    reviewer: str = "",
    note: str = "",
) -> int:
    """Record decisions: those in `choices` (id -> accept, reject, none), and "reject" for every flagged sample that no
    one has decided by hand. Returns how many were recorded."""
    run = runs.Run.open(run_path)
    decided = run.decisions()
    wanted = dict(choices or {})
    if reject_flagged:
        flagged = last_detection(run).flagged_ids
        wanted = {**{id: "reject" for id in flagged if id not in decided}, **wanted}
    batch = [Decision(id=id, choice=choice, reviewer=reviewer, note=note) for id, choice in wanted.items()]
    if batch:
        run.decide(batch)
    return len(batch)


def undo(run_path: Path) -> int:
    """Withdraw the last batch of decisions; returns how many it held."""
    withdrawn = runs.Run.open(run_path).undo()
    return len(withdrawn.decisions) if withdrawn else 0


def export_run(run_path: Path, out: Path, format: str = "same", data: str | Path | None = None) -> dict[str, Any]:
    """Write the cleaned data set: all samples but the rejected and the unusable; with removed.jsonl, manifest.json.

    What was not scanned was not judged: faulty samples go too, with their reason. `data` names the data set where it
    has moved since the scan.
    """
    run = runs.Run.open(run_path)
    dataset = ready(data or run.settings.data, run.settings.format)
    if dataset.digest != run.settings.data_digest:
        raise runs.RunMismatch(path=run_path, differences="the data set has changed since the scan")
    detection, decisions = run.detection(), run.decisions()
    removed = list(_removed(run, dataset, detection, decisions))
    # By place, not by id: the fault of a duplicate carries the id of the sound record that it repeats.
    gone = {row["index"] for row in removed}
    keep = [sample.id for sample in dataset.samples if sample.index not in gone]
    manifest = {
        "run": {
            name: value for name, value in run.settings.record().items() if name not in ("model", "adapter", "data")
        },
        "detection": None
        if detection is None
        else {"method": detection.method, "settings": dict(detection.settings), "verdict": detection.verdict},
    }
    return export(dataset, keep, removed, out, format, manifest)


def _removed(
    run: runs.Run, dataset: DataSet, detection: Detection | None, decisions: Mapping[str, Decision]
) -> Iterator[dict[str, Any]]:
    scores = dict(zip(detection.ids, detection.scores.tolist(), strict=True)) if detection else {}
    flagged = set(detection.flagged_ids) if detection else set()
    layers = list(detection.sensitive_layers) if detection else []
    scored, failed = run.scored_ids(), {fault.id: fault for fault in run.failed()}
    for sample in dataset.samples:
        decision, row = decisions.get(sample.id), {"id": sample.id, "index": sample.index}
        if decision and decision.choice == "reject":
            reason = "flagged and rejected" if sample.id in flagged else "rejected by hand"
            yield {
                **row,
                "reason": reason,
                "score": scores.get(sample.id),
                "layers": layers if sample.id in flagged else [],
                "decision": decision.choice,
                "reviewer": decision.reviewer,
                "note": decision.note,
                "time": decision.time,
            }
        elif sample.id not in scored and not (decision and decision.choice == "accept"):
            fault = failed.get(sample.id)
            yield {**row, "reason": f"not scanned: {fault.problem if fault else 'the scan has not reached it'}"}
    for fault in dataset.faults:
        if fault.fatal:
            yield {"id": fault.id, "index": fault.index, "reason": f"unusable: {fault.problem}"}


def export_entropies(run_path: Path, out: Path) -> Path:
    """Write a run's entropies as the authors' JSON lines."""
    return detect.write_entropies(runs.Run.open(run_path).table(), out)


def read_truth(path: Path) -> frozenset[str]:
    """The poisoned ids of a truth file. Raises UnreadableTruth."""
    try:
        poisoned = json.loads(path.read_text(encoding="utf-8"))["poisoned"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableTruth(path=path, reason=error) from error
    if not isinstance(poisoned, list):
        raise UnreadableTruth(path=path, reason="`poisoned` is not a list")
    return frozenset(map(str, poisoned))


def score_run(run_path: Path, truth: Path) -> dict[str, Any]:
    """Precision, recall, F1, AUC of the run's last detection against a truth file."""
    return detect.score(last_detection(runs.Run.open(run_path)), read_truth(truth))


# --- Algorithm 1 ----------------------------------------------------------------------------------------------


def clean(
    model: str,
    data: str | Path,
    out: Path,
    settings: FinetuneSettings | None = None,
    method: str = "bye",
    device: str = "auto",
    dtype: str = "auto",
) -> Iterator[Progress]:
    """The whole of BYE's Algorithm 1; what an earlier call finished in `out` is not done again.

    `out` receives `suspect` (adapter tuned on everything), `run`, `data` (the cleaned set) and `cleaned` (adapter tuned
    on the rest). Without evidence of poisoning nothing is removed, and `suspect` is the result.
    """
    settings = settings or FinetuneSettings()
    suspect, run_path, cleaned_data, cleaned = out / "suspect", out / "run", out / "data", out / "cleaned"
    if not finished(suspect):
        yield from finetune(model, data, suspect, settings, device, dtype)
    yield from scan(model, data, run_path, suspect, ScanSettings(device=device, dtype=dtype))
    detection = detect_run(run_path, method)
    decide(run_path, reject_flagged=True, reviewer=f"method:{method}")
    facts = {"verdict": detection.verdict, "flagged": int(detection.flagged.sum()), "samples": len(detection.ids)}
    if detection.verdict != "poisoned":
        yield Progress("clean", 1, 1, "no evidence of poisoning", {**facts, "adapter": str(suspect)})
        return
    manifest = export_run(run_path, cleaned_data, data=data)
    if not finished(cleaned):
        yield from finetune(model, cleaned_data, cleaned, settings, device, dtype)
    facts |= {"kept": manifest["counts"]["kept"], "data": str(cleaned_data), "adapter": str(cleaned)}
    yield Progress("clean", 1, 1, "done", facts)
