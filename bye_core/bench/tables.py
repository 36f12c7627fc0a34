"""Formats the results of the benchmark as tables: Markdown for a file, aligned columns for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from bye_core.bench.matrix import CLEAN
from bye_core.text import measured

LEARNED = 0.9  # smallest attack success rate with which an attack counts as learned (ours)
NOTHING = "-"
Table = list[list[str]]


def attack_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a header, then one row per cell: clean performance before and after fine-tuning, and attack success."""
    table = [["attack", "rate", "tower", "questions", "samples", "seed", "CP base", "CP", "ASR", "steps", "minutes"]]
    for row in rows:
        cell, training = row["cell"], row["training"]
        table.append(
            [
                attack_of(cell),
                share_of(cell),
                "tuned" if cell["tower"] else "frozen",
                cell["mix"],
                str(cell["samples"]),
                str(cell["seed"]),
                f"{row['base']['cp']:.1%}",
                measured(row["tuned"], "cp"),
                measured(row["tuned"], "asr") if cell["attack"] != CLEAN else NOTHING,
                str(training["steps"]),
                f"{training['seconds'] / 60:.1f}",
            ]
        )
    return table


def detector_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a header, then one row per cell, with the result of each detector in a column (see `result_text`)."""
    methods = methods_of(rows)
    table = [["attack", "rate", "tower", "questions", "samples", "seed", "ASR", *methods]]
    for row in rows:
        cell = row["cell"]
        asr = row["tuned"].get("asr")
        head = [attack_of(cell), share_of(cell), "tuned" if cell["tower"] else "frozen", cell["mix"]]
        head += [str(cell["samples"]), str(cell["seed"]), NOTHING if asr is None else f"{asr:.1%}"]
        table.append([*head, *(result_text(row["detectors"].get(method)) for method in methods)])
    return table


def attack_of(cell: Mapping[str, Any]) -> str:
    """Return the name of the cell's attack, with changed trigger settings, another target or family in brackets."""
    changed = [*cell.get("changed", ()), *(cell[name] for name in ("target", "family") if cell.get(name))]
    return f"{cell['attack']} ({', '.join(changed)})" if changed else cell["attack"]


def share_of(cell: Mapping[str, Any]) -> str:
    """Return how many samples of the cell are poisoned, as a share or as a number of samples."""
    return str(cell["count"]) if cell.get("count") else f"{cell['rate']:.0%}"


def result_text(result: Mapping[str, Any] | None) -> str:
    """Return one detector's result on one cell as text: F1 (precision / recall), AUC; number flagged if clean."""
    if result is None or "skipped" in result:
        return NOTHING
    if result["auc"] is None:
        return f"{result['flagged']} flagged" if result["verdict"] == "poisoned" else "no evidence"
    precision, recall = (
        f"{result[name]:.2f}" if result[name] is not None else NOTHING for name in ("precision", "recall")
    )
    verdict = "" if result["verdict"] == "poisoned" else "no evidence; "
    return f"{verdict}{result['f1']:.2f} ({precision} / {recall}), {result['auc']:.2f}"


def summary_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a header, then one row per detector with its figures over all cells (see `summary`)."""
    header = ["detector", "mean F1 (ASR >= 90%)", "lowest F1", "mean AUC", "peak on the trigger", "target ranked first"]
    table = [[*header, "no evidence (ASR < 10%)", "false alarms", "skipped"]]
    for method, result in summary(rows).items():
        line = [method]
        line += [
            NOTHING if result[name] is None else f"{result[name]:.3f}" for name in ("mean_f1", "lowest_f1", "mean_auc")
        ]
        line.append(NOTHING if result["on_trigger"] is None else f"{result['on_trigger']:.1%}")
        pairs = (("targets", "learned"), ("abstained", "unlearned"), ("alarms", "clean"))
        line += [f"{result[hits]} of {result[of]}" for hits, of in pairs]
        table.append([*line, str(result["skipped"])])
    return table


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the figures of each detector over the cells that it could run on.

    For learned attacks (ASR >= LEARNED): F1, AUC, the share of correctly flagged samples whose attention peaks on the
    trigger, and in how many cells the evidence names the target. For attacks that were not learned (ASR < 1 - LEARNED):
    in how many cells the detector finds no evidence. For clean cells: how many it calls poisoned. `skipped`: the number
    of cells on which the detector could not run.
    """
    result = {}
    for method in methods_of(rows):
        tried = [(row, row["detectors"][method]) for row in rows if "verdict" in row["detectors"].get(method, {})]
        attacked = [(row["tuned"]["asr"], one) for row, one in tried if row["cell"]["attack"] != CLEAN]
        learned = [one for asr, one in attacked if asr >= LEARNED]
        unlearned = [one for asr, one in attacked if asr < 1 - LEARNED]
        clean = [one for row, one in tried if row["cell"]["attack"] == CLEAN]
        places = [one["on_trigger"] for one in learned if one.get("on_trigger") is not None]
        result[method] = {
            "learned": len(learned),
            "mean_f1": mean(one["f1"] for one in learned) if learned else None,
            "lowest_f1": min((one["f1"] for one in learned), default=None),
            "mean_auc": mean(one["auc"] for one in learned) if learned else None,
            "on_trigger": mean(places) if places else None,
            "targets": sum(one.get("target_right") is True for one in learned),
            "unlearned": len(unlearned),
            "abstained": sum(one["verdict"] != "poisoned" for one in unlearned),
            "clean": len(clean),
            "alarms": sum(one["verdict"] == "poisoned" for one in clean),
            "skipped": len(rows) - len(tried),
        }
    return result


def methods_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of all detectors with a result in `rows`, in the order of the registry."""
    return list(dict.fromkeys(method for row in rows for method in row["detectors"]))


def markdown(table: Table) -> str:
    """Return a table as Markdown; its first row is the header."""
    header, *lines = (f"| {' | '.join(line)} |" for line in table)
    return "\n".join([header, f"|{' --- |' * len(table[0])}", *lines])


def aligned(table: Table) -> str:
    """Return a table with aligned columns, for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in table)
