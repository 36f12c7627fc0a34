"""The bench's rows as tables for people: Markdown for a file, aligned columns for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from bye_core.bench.matrix import CLEAN
from bye_core.text import measured

LEARNED = 0.9  # the attack success rate from which an attack counts as learned (ours)
NOTHING = "-"
Table = list[list[str]]


def attack_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What each fine-tuning did: clean performance before and after, attack success. The first line is the header."""
    table = [["attack", "rate", "tower", "questions", "samples", "seed", "CP base", "CP", "ASR", "steps", "minutes"]]
    for row in rows:
        cell, training = row["cell"], row["training"]
        table.append(
            [
                attack_of(cell),
                f"{cell['rate']:.0%}",
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
    """A line a cell, a column a detector: F1 (precision / recall), AUC; where there is no poison, what it flags."""
    methods = methods_of(rows)
    table = [["attack", "rate", "tower", "questions", "samples", "seed", "ASR", *methods]]
    for row in rows:
        cell = row["cell"]
        asr = row["tuned"].get("asr")
        head = [attack_of(cell), f"{cell['rate']:.0%}", "tuned" if cell["tower"] else "frozen", cell["mix"]]
        head += [str(cell["samples"]), str(cell["seed"]), NOTHING if asr is None else f"{asr:.1%}"]
        table.append([*head, *(told(row["detectors"].get(method)) for method in methods)])
    return table


def attack_of(cell: Mapping[str, Any]) -> str:
    """The attack and, in brackets, what is not as usual in it."""
    changed = cell.get("changed")
    return f"{cell['attack']} ({', '.join(changed)})" if changed else cell["attack"]


def told(found: Mapping[str, Any] | None) -> str:
    """What one detector made of one cell."""
    if found is None or "skipped" in found:
        return NOTHING
    if found["auc"] is None:
        return f"{found['flagged']} flagged" if found["verdict"] == "poisoned" else "no evidence"
    precision, recall = (
        f"{found[name]:.2f}" if found[name] is not None else NOTHING for name in ("precision", "recall")
    )
    verdict = "" if found["verdict"] == "poisoned" else "no evidence; "
    return f"{verdict}{found['f1']:.2f} ({precision} / {recall}), {found['auc']:.2f}"


def summary_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A line a detector, over all cells; why it left some out, below `skipped`."""
    header = ["detector", "mean F1 (ASR >= 90%)", "lowest F1", "mean AUC", "peak on the trigger", "target named first"]
    table = [[*header, "no evidence (ASR < 10%)", "false alarms", "skipped"]]
    for method, found in summary(rows).items():
        line = [method]
        line += [
            NOTHING if found[name] is None else f"{found[name]:.3f}" for name in ("mean_f1", "lowest_f1", "mean_auc")
        ]
        line.append(NOTHING if found["on_trigger"] is None else f"{found['on_trigger']:.1%}")
        pairs = (("targets", "learned"), ("abstained", "unlearned"), ("alarms", "clean"))
        line += [f"{found[hits]} of {found[of]}" for hits, of in pairs]
        table.append([*line, str(found["skipped"])])
    return table


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Detector -> its figures over the cells that it could be tried on.

    Over the learned attacks (ASR >= LEARNED): F1, AUC, how much of what it rightly flags looks at the trigger where
    that has a place, and how often the evidence on it names the target. Besides: how often it abstains where the attack
    was not learned (ASR < 1 - LEARNED), and how many clean sets it calls poisoned.
    """
    found = {}
    for method in methods_of(rows):
        tried = [(row, row["detectors"][method]) for row in rows if "verdict" in row["detectors"].get(method, {})]
        attacked = [(row["tuned"]["asr"], one) for row, one in tried if row["cell"]["attack"] != CLEAN]
        learned = [one for asr, one in attacked if asr >= LEARNED]
        unlearned = [one for asr, one in attacked if asr < 1 - LEARNED]
        clean = [one for row, one in tried if row["cell"]["attack"] == CLEAN]
        places = [one["on_trigger"] for one in learned if one.get("on_trigger") is not None]
        found[method] = {
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
    return found


def methods_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """All detectors of the rows, in the order of the registry."""
    return list(dict.fromkeys(method for row in rows for method in row["detectors"]))


def markdown(table: Table) -> str:
    """A table, its first line as the header."""
    header, *lines = (f"| {' | '.join(line)} |" for line in table)
    return "\n".join([header, f"|{' --- |' * len(table[0])}", *lines])


def aligned(table: Table) -> str:
    """The same for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in table)
