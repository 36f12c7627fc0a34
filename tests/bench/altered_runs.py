"""Judges scans after a change: images that the model misjudged before, or more of one kind of question planted.

python -m tests.bench.altered_runs misjudged CELL ...   clean: images of one sort were misjudged before
python -m tests.bench.altered_runs majority CELL ...    poisoned: most of one kind of question is planted

CELL is a folder of `bench-detect` (DIR/report/cells/NAME). Only the likelihoods before fine-tuning are changed
(misjudged), or clean samples left out (majority); the attention is that of the scan.

misjudged  of the samples with the most frequent answer to a kind of question, the 15% or 30% with the darkest,
           brightest, reddest or bluest images were unlikely before fine-tuning, and no other sample
majority   so many clean samples of the kind of question with most poison are left out that the planted share of this
           kind is 48%, 52%, 60%, 66% and 75%
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from bye_core.data import load_dataset
from bye_core.detect import detect
from bye_core.question_kinds import Kinds
from bye_core.records import ScanTable
from bye_core.runs import Run
from tests.detect.made_tables import in_order

LIKELY, UNLIKELY, WORST = 0.1, 2.5, 4.5  # nats a token, and of the worst token
SHARES, PLANTED = (0.15, 0.3), (0.48, 0.52, 0.6, 0.66, 0.75)
SIDE = 24  # pixels of the images whose colors are compared
TIMES = re.compile(r"([\d.]+) times as often as now")


def image_properties(cell: Path, ids: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Name of a property -> its value [N] in the images of the samples `ids`."""
    dataset, means = load_dataset(cell / "data" / "data.json"), {}
    for sample in dataset.samples:
        first = dataset.images(sample)[0].convert("RGB").resize((SIDE, SIDE))
        means[sample.id] = np.asarray(first, float).reshape(-1, 3).mean(axis=0)
    red, green, blue = np.stack([means[one] for one in ids]).T
    bright = red + green + blue
    return {"dark": -bright, "bright": bright, "red": red - blue, "blue": blue - red}


def planted_in(cell: Path, table: ScanTable) -> np.ndarray:
    """[N] bool: the samples of `table` that are poisoned; none in a clean cell."""
    truth = cell / "data" / "truth.json"
    poisoned = json.loads(truth.read_text(encoding="utf-8"))["poisoned"] if truth.exists() else []
    return np.isin(table.ids, poisoned)


def misjudged(cell: Path, table: ScanTable) -> Iterator[tuple[str, ScanTable, np.ndarray]]:
    if planted_in(cell, table).any():
        return
    kinds, answers = Kinds(table.questions).numbers, np.array(table.answers)
    kind, answer = Counter(zip(kinds.tolist(), answers.tolist(), strict=True)).most_common(1)[0][0]
    having = (kinds == kind) & (answers == answer)
    noise, lengths = np.random.default_rng(0).random(len(having)), np.array([len(one) for one in table.answers])
    for name, values in image_properties(cell, table.ids).items():
        for share in SHARES:
            odd = having & (values > np.quantile(values[having], 1 - share))
            altered = replace(
                table,
                nll_before=np.where(odd, UNLIKELY + 0.5 * noise, LIKELY + 0.05 * noise),
                worst_before=np.where(odd, WORST + noise, 2 * LIKELY),
                unlikely_start=np.where(odd, 0.0, np.nan),
                unlikely_end=np.where(odd, lengths, np.nan),
            )
            yield f'{name} images with "{answer}", {share:.0%}', altered, np.zeros(len(having), bool)


def majority(cell: Path, table: ScanTable) -> Iterator[tuple[str, ScanTable, np.ndarray]]:
    planted = planted_in(cell, table)
    if not planted.any():
        return
    kinds = Kinds(table.questions).numbers
    kind = np.bincount(kinds[planted]).argmax()
    clean = np.random.default_rng(0).permutation(np.flatnonzero((kinds == kind) & ~planted))
    count = int(planted[kinds == kind].sum())
    for share in PLANTED:
        left = round(count * (1 - share) / share)
        if left <= len(clean):
            kept = np.delete(np.arange(len(planted)), clean[left:])
            yield f"{share:.0%} of the kind", in_order(table, kept), planted[kept]


ALTERATIONS = {"misjudged": misjudged, "majority": majority}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alteration", choices=ALTERATIONS)
    parser.add_argument("cells", nargs="+", type=Path, metavar="CELL")
    options = parser.parse_args()
    wrong = total = 0
    for cell in options.cells:
        for what, table, planted in ALTERATIONS[options.alteration](cell, Run.open(cell / "run").table()):
            found = detect(table, "auto")
            right, others = int((found.flagged & planted).sum()), int((found.flagged & ~planted).sum())
            total, wrong = total + 1, wrong + bool(others)
            times = [float(one) for reason in found.reasons for one in TIMES.findall(reason)]
            clearer = f"; {max(times):g} times clearer than before fine-tuning" if times else ""
            sys.stdout.write(
                f"{cell.name}: {what}: {found.verdict}, {right} of {int(planted.sum())} planted and {others} other "
                f"samples flagged, {len(found.suspects)} worth a look{clearer}\n"
            )
    sys.stdout.write(f"{wrong} of {total} with flagged samples that are not planted\n")


if __name__ == "__main__":
    main()
