"""States what holds for the readers whatever the input, and tries it on many random data sets.

An input is one random data set: its files are written, read twice, checked, exported in part and read again.
Run by hand: `python -m tests.data.reader_properties --count 100000`. Prints every failure with its seed;
`--seed SEED` makes that data set again and shows the failure.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from bye_core.data import FORMATS, DataSet, check_samples, export, load_dataset
from bye_core.data.dataset import reference_answers
from bye_core.data.formats import UnknownFormat
from bye_core.data.load import record_keys
from bye_core.data.reading import ReadingOptions
from bye_core.errors import ByeError
from bye_core.pipeline.check import known_markers
from bye_core.records import Fault, Sample, Turn
from tests.data.random_records import BASE64
from tests.data.random_sets import RandomSet, make_set

SLOW = 5.0  # seconds of CPU for one reading
LONGEST_MESSAGE = 20_000  # characters
OPTIONS = {"--format", "--columns", "--split", "--question", "--strict-ids"}
_PYTHON = re.compile(r"<class| object at |0x[0-9a-f]{6}|NoneType|Traceback|\bdict\(|PosixPath")
_RUN = re.compile(r"[A-Za-z0-9+/]{41,}")
_MARKERS = known_markers()


def check_set(made: RandomSet, random: Random) -> str:
    """Assert every property on one data set; return what became of it: "exported", or the kind of the refusal."""
    start = time.process_time()
    data = _read(made)
    assert time.process_time() - start < SLOW, f"slow: {made.kind}"
    again = _read(made)
    assert _facts(data) == _facts(again), "two readings differ"
    with suppress(ByeError):
        record_keys(made.path, ReadingOptions(**made.options))
    if isinstance(data, ByeError):
        check_words(data.problem, data.remedy)
        return f"refused: {data.kind}"
    check_counts(data)
    ready = check_ready(data)
    if not ready:
        return "no sample ready"
    return check_export(made, data, ready, random)


def check_counts(data: DataSet) -> None:
    """Every record is a sample or has one fault; every name is used once; every record can be shown again."""
    assert len(data.samples) + len(data.faults) == data.size
    indices = [item.index for item in (*data.samples, *data.faults)]
    assert sorted(indices) == list(range(data.size))
    assert all(fault.fatal for fault in data.faults)
    assert len(data.by_id) == len(data.samples)
    text_only = {(sample.id, sample.index) for sample in data.text_only}
    assert text_only <= {(fault.id, fault.index) for fault in data.faults}
    for note in data.notes:
        check_words(note)
    for index in range(data.size):
        data.record(index)
    for sample in data.samples:
        assert data.parsed_record(sample).turns == sample.turns
    reference_answers(data, data.samples)


def check_ready(data: DataSet) -> list[Sample]:
    """Check all images and texts; return the samples without a fatal fault."""
    faults: list[Fault] = list(data.faults)
    ready = []
    for sample, fault in check_samples(data, _MARKERS):
        if fault:
            faults.append(fault)
        if fault is None or not fault.fatal:
            ready.append(sample)
            assert len(data.images(sample)) == len(sample.images)
    assert len(ready) + sum(fault.fatal for fault in faults) == data.size
    assert len({fault.index for fault in faults}) == len(faults), "a record is listed twice"
    for fault in faults:
        check_words(fault.problem, fault.remedy)
    return ready


def check_words(problem: str, remedy: str = "") -> None:
    """Messages are printable, of bounded length, and without the syntax of Python, base64 or unknown options."""
    words = f"{problem} {remedy}"
    assert words.isprintable(), f"not printable: {words!a}"
    assert len(words) < LONGEST_MESSAGE, "too long"
    assert problem.strip(), "empty"
    assert not _PYTHON.search(words), f"Python: {words}"
    assert not re.search(r"\bNone\b", words) or "Python word None" in words, f"None: {words}"
    runs = [run for run in _RUN.findall(words) if len(run) > 20 * (run.count("/") + 1)]  # with more / it may be a path
    assert not any(run in BASE64 for run in runs), f"base64: {words}"
    assert not re.search(r"\{(?!path\})[a-z_!]+\}", words), f"placeholder: {words}"
    unknown = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", remedy)) - OPTIONS
    assert not unknown, f"unknown options: {words}"


def check_export(made: RandomSet, data: DataSet, ready: list[Sample], random: Random) -> str:
    """A part of the samples, exported in the same format, is read again with the same content from another folder."""
    keep = random.sample(ready, random.randint(1, len(ready)))
    keep = sorted(keep, key=lambda sample: sample.index)
    unscanned = [sample for sample in data.text_only if random.random() < 0.5]
    written = {sample.index for sample in (*keep, *unscanned)}
    removed = [{"index": index, "reason": "x"} for index in range(data.size) if index not in written]
    out = made.folder.with_name(f"{made.folder.name}-out")
    try:
        manifest = export(data, [s.id for s in keep], removed, out, unscanned=[s.id for s in unscanned])
    except ByeError as error:
        check_words(error.problem, error.remedy)
        assert not out.exists()
        return f"not exported: {error.kind}"
    counts = manifest["counts"]
    assert counts["kept"] + counts["removed"] == data.size
    before = [_content(data, sample) for sample in keep]
    texts = [(sample.turns, data.parsed_record(sample).id) for sample in unscanned]
    other = random.choice(sorted({*FORMATS} - {data.format}))
    shown = [_shown(data, sample) for sample in keep]
    converted = _convert(data, keep, out.with_name(f"{out.name}-other"), other)
    moved = made.folder.with_name(f"{made.folder.name}-gone")
    made.folder.rename(moved)
    try:
        columns = made.options.get("columns")
        options = {**made.options, "split": None, "format": data.format, "columns": columns}
        if data.info:
            options["format"] = made.options.get("format")
        again = load_dataset(out, **options)
        assert [_content(again, sample) for sample in again.samples] == before
        assert [(s.turns, again.parsed_record(s).id) for s in again.text_only] == texts
        assert again.size == len(keep) + len(unscanned)
        if "format" not in made.options:
            check_automatic(out, options, data.format, before)
        if converted:
            same = load_dataset(converted, format=other)
            assert [_shown(same, sample) for sample in same.samples] == shown, other
    finally:
        moved.rename(made.folder)
    return "exported"


def check_automatic(out: Path, options: dict[str, Any], format: str, before: list[Any]) -> None:
    """An export of a set whose format was detected is read in the same way if the same format is detected.

    What is left of a mixed set may be of another format, or of none that is detected without the other records.
    """
    try:
        automatic = load_dataset(out, **{**options, "format": None})
    except UnknownFormat:
        return
    if automatic.format == format:
        assert [_content(automatic, sample) for sample in automatic.samples] == before, "differs without --format"


def _convert(data: DataSet, keep: list[Sample], out: Path, format: str) -> Path | None:
    """Export the samples in another format; None if that is refused."""
    try:
        export(data, [sample.id for sample in keep], [], out, format)
    except ByeError as error:
        check_words(error.problem, error.remedy.replace("--format chat", ""))
        return None
    return out


def _content(data: DataSet, sample: Sample) -> tuple[Any, ...]:
    record = data.parsed_record(sample)
    images = [hashlib.sha256(data.image_bytes(sample, k)).hexdigest() for k in range(len(sample.images))]
    return record.id, sample.turns, record.references, images


def _shown(data: DataSet, sample: Sample) -> list[Any]:
    """Return the messages with the bytes of an image in place of its number; a format may number images otherwise.

    A format whose messages are texts joins the parts of an answer, and has no blank answer. It has no white space
    beside the marker of an image either.
    """

    def part_of(turn: Turn, k: int) -> Any:
        part, text = turn.parts[k], turn.parts[k]
        if isinstance(part, int):
            return data.image_bytes(sample, part)
        if k and isinstance(turn.parts[k - 1], int):
            text = str(text).lstrip(" \t\r\n")
        return str(text).rstrip(" \t\r\n") if isinstance((*turn.parts, "")[k + 1], int) else text

    return [
        [turn.role, *(part_of(turn, k) for k in range(len(turn.parts)))]
        if turn.role == "user"
        else [turn.role, turn.text.strip()]
        for turn in sample.turns
    ]


def _read(made: RandomSet) -> DataSet | ByeError:
    try:
        return load_dataset(made.path, **made.options)
    except ByeError as error:
        return error


def _facts(data: DataSet | ByeError) -> Any:
    if isinstance(data, ByeError):
        return data.kind, data.problem, data.remedy
    return data.format, data.samples, data.text_only, data.faults, data.size, data.digest, data.notes, data.layout


@contextmanager
def emptied(work: Path) -> Iterator[Path]:
    """Delete everything in a folder after use."""
    try:
        yield work
    finally:
        for path in work.iterdir():
            shutil.rmtree(path)


def try_seed(seed: int, work: Path) -> str:
    """Make the data set of a seed in the folder `work`, assert the properties, and delete it."""
    random = Random(seed)
    with emptied(work):
        return check_set(make_set(random, work / "set"), random)


def _where(error: BaseException) -> str:
    """Return the failure in one line: equal failures have equal lines."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "bye_core" in frame.filename] or frames
    test = next((frame for frame in reversed(frames) if frame.filename == __file__), frames[-1])
    text = " ".join(str(error).split())[:100]
    return f"{type(error).__name__} {own[-1].name}:{own[-1].lineno} test:{test.lineno} {text}"


def _say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="number of data sets")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="make this data set only, and keep it")
    args = parser.parse_args()
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None  # in memory: files are synced in no time
    work = Path(tempfile.mkdtemp(prefix="sets", dir=base))
    if args.seed is not None:
        random = Random(args.seed)
        made = make_set(random, work / "set")
        _say(made)
        _say(check_set(made, random))
        return
    outcomes, failures = Counter[str](), dict[str, list[int]]()
    start = time.process_time()
    for seed in range(args.first, args.first + args.count):
        try:
            outcomes[try_seed(seed, work)] += 1
        except Exception as error:  # noqa: BLE001 - every failure is collected
            failures.setdefault(_where(error), []).append(seed)
            outcomes["FAILED"] += 1
            _say(f"{seed}: {_where(error)}")
    seconds = time.process_time() - start
    _say(f"{args.count:,} data sets in {seconds:.0f} s of CPU")
    for outcome, count in outcomes.most_common():
        _say(f"{count:8,}  {outcome}")
    for failure, seeds in sorted(failures.items(), key=lambda item: -len(item[1])):
        _say(f"FAILED {len(seeds):,} times, for example seed {seeds[0]}: {failure}")
    shutil.rmtree(work)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
