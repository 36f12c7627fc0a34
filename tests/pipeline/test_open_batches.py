"""Images ahead of the model: worker processes prepare what one process prepares; faults stay with their samples."""

import hashlib
import json
import pickle
import signal
from functools import partial
from types import SimpleNamespace

import pytest
from PIL import Image

from bye_core import pipeline
from bye_core.attention import preparation, read_with_answers
from bye_core.attention.errors import NoAnswerToRead
from bye_core.data import load_dataset
from bye_core.models.errors import PromptTooLong
from bye_core.models.loading import load_model
from bye_core.pipeline.batches import ScanBatch
from bye_core.pipeline.open_batches import AUTOMATIC, decode_job, open_ahead, open_batches, worker_count
from tests.models.tiny import picture, save_tiny


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Six samples: two share an image, one has a missing image, one a broken image, one no answer to read."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(3):
        picture(number, 40, 30).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:-40])
    names = ["0.png", "0.png", "missing.png", "broken.png", "1.png", "2.png"]
    records = [
        {
            "id": f"s{number}",
            "image": name,
            "conversations": [
                {"from": "human", "value": "<image>\nwhat colour is it ?"},
                {"from": "gpt", "value": "red" if number < 5 else "dogs " * 600},
            ],
        }
        for number, name in enumerate(names)
    ]
    (folder / "data.json").write_text(json.dumps(records))
    (folder / "missing.png").write_bytes((folder / "0.png").read_bytes())
    loaded = load_dataset(folder / "data.json")
    (folder / "missing.png").unlink()
    return loaded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def loaded(folder):
    return load_model(folder, device="cpu")


def batches(dataset):
    return [ScanBatch(dataset.samples[:4], [range(0, 2), range(2, 4)]), ScanBatch(dataset.samples[4:], [range(0, 2)])]


class InProcess:
    """A DataLoader without processes, whose worker dies before it returns the third result."""

    def __init__(self, dataset, sampler, worker_init_fn, **options):
        self.dataset, self.sampler, self.start = dataset, sampler, worker_init_fn

    def __iter__(self):
        def interrupt(*_):
            raise RuntimeError("DataLoader worker (pid 7) is killed, and so is what this process does.")

        signal.signal(signal.SIGCHLD, interrupt)  # as torch does
        return self.results()

    def results(self):
        for number, job in enumerate(self.sampler):
            if number == 2:
                raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
            yield pickle.loads(pickle.dumps(self.dataset[pickle.loads(pickle.dumps(job))]))


def test_workers_prepare_what_one_process_prepares_even_if_one_dies(dataset, loaded, monkeypatch):
    monkeypatch.setattr(preparation, "DataLoader", InProcess)
    reader = SimpleNamespace(submit=lambda run, *given: SimpleNamespace(result=partial(run, *given)))
    plain = list(open_batches(dataset, batches(dataset)))
    before = signal.getsignal(signal.SIGCHLD)
    opened = list(open_ahead(reader, dataset, batches(dataset), loaded, answers=True, workers=2))
    assert signal.getsignal(signal.SIGCHLD) == before, "a killed worker interrupts nothing"
    assert [one.batch for one in opened] == [None, dataset.samples[:4], dataset.samples[4:]]
    assert [[fault.kind for fault in one.faults] for one in opened] == [[], ["MissingImage", "BrokenImage"], []]
    for one, other in zip(opened, plain, strict=True):
        assert (one.samples, list(one.images), one.faults) == (other.samples, list(other.images), other.faults)
        pictures = [[list(own) for own in images.values()] for images in (one.images, other.images)]
        assert pictures[0] == pictures[1]
        shown = [sample for sample in one.samples if sample.id in one.images]
        with_worker, without = (
            read_with_answers(loaded, shown, [one.images[sample.id] for sample in shown], encoded)
            for encoded in (one.encoded, None)
        )
        assert [str(vars(reading.rows)) for reading in with_worker] == [str(vars(reading.rows)) for reading in without]
        assert [str(reading.unread) for reading in with_worker] == [str(reading.unread) for reading in without]
    assert isinstance(opened[2].encoded.unread[1], PromptTooLong)
    assert opened[1].encoded is None


def test_a_signal_to_all_processes_leaves_the_workers_to_the_process_of_the_model():
    numbers = (signal.SIGINT, signal.SIGTERM)
    former = [signal.getsignal(number) for number in numbers]
    try:
        preparation._ignore_stop(0)
        assert [signal.getsignal(number) for number in numbers] == [signal.SIG_IGN] * 2
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)


def test_samples_with_one_image_share_it(dataset, loaded):
    first, second = next(open_batches(dataset, batches(dataset))).images.values()
    assert first is second
    job = preparation.Job(dataset.samples[:2], {"s0": [b"not an image"], "s1": [b"not an image"]}, [])
    images, faults = decode_job(job)
    assert not images
    assert [fault.id for fault in faults] == ["s0", "s1"]


def test_the_number_of_workers(loaded):
    assert worker_count(AUTOMATIC, loaded, answers=True) == 0, "the model uses all cores"
    assert worker_count(3, loaded, answers=True) == 3
    assert worker_count(0, loaded, answers=True) == 0
    gpu = SimpleNamespace(family=loaded.family, device=SimpleNamespace(type="cuda"))
    assert 1 <= worker_count(AUTOMATIC, gpu, answers=False) <= 8
    assert worker_count(AUTOMATIC, gpu, answers=False, samples=1200) == 0, "their start would take longer"
    assert worker_count(2, gpu, answers=False, samples=10) == 2
    family = SimpleNamespace(needs_model=True)
    assert worker_count(3, SimpleNamespace(family=family, device=loaded.device), answers=False) == 0


def test_errors_travel_between_processes():
    for error in (NoAnswerToRead(id="a"), PromptTooLong(id="b", tokens=9, limit=Image)):
        copied = pickle.loads(pickle.dumps(error))
        assert (type(copied), str(copied), copied.problem) == (type(error), str(error), error.problem)
        assert copied.facts["id"] == error.facts["id"]


def test_a_scan_with_a_worker_process_stores_the_same_bytes(dataset, folder, tmp_path):
    stored = []
    for loaders in (0, 1):
        run = tmp_path / str(loaders)
        settings = pipeline.ScanSettings(batch=2, device="cpu", answers=True, loaders=loaders)
        last = list(pipeline.scan(str(folder), dataset.path, run, settings=settings))[-1]
        assert last.facts == {"scored": 4, "failed": 2}
        stored.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted((run / "shards").iterdir())])
    assert stored[0] == stored[1]
