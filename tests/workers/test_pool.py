"""The rules of the pool, with workers that are plain objects: order, dead and stuck workers, bad samples, limits."""

import importlib
import os
import threading
from dataclasses import dataclass, field, replace

import pytest

from bye_core.errors import ByeError
from bye_core.workers import ModelFacts, WorkerSettings, pool, ray_engine
from bye_core.workers.errors import NoRay, NoWorkerStarted, WorkersDiffer, WorkersFailed
from bye_core.workers.open import open_model
from bye_core.workers.pool import WorkerLost, WorkerPool
from bye_core.workers.settings import BadWorkerSetting, worker_arguments
from bye_core.workers.worker import Failure

IDENTITY = {"model_digest": "m", "adapter_digest": None, "versions": {"torch": "2"}}
FACTS = ModelFacts(IDENTITY, "cpu", "float32", None)


@dataclass(frozen=True)
class Letters:
    """A task whose result is its letters in upper case."""

    ids: tuple[str, ...]

    def split(self):
        return [Letters((letter,)) for letter in self.ids]

    def join(self, results):
        return [entry for entries in results for entry in entries]

    def fail(self, error):
        return [error]


@dataclass
class Engine:
    """Runs up to four tasks when it is waited for, the newest. `lose` ends workers that get one of its letters."""

    workers: int = 2
    lose: dict[str, int] = field(default_factory=dict)  # letter: how many workers end with it
    hang: str = ""
    fail: str = ""
    facts: list = field(default_factory=lambda: [FACTS])
    started: int = 0
    running: list = field(default_factory=list)  # the workers that were not stopped yet
    alive: set = field(default_factory=set)
    tickets: dict = field(default_factory=dict)
    ran: list = field(default_factory=list)
    waits: list = field(default_factory=list)
    together: int = 0

    def start(self):
        self.started += 1
        self.running.append(self.started)
        self.alive.add(self.started)
        return self.started, self._ticket(self.started, self.facts[min(self.started, len(self.facts)) - 1])

    def submit(self, worker, task):
        assert worker in self.alive
        return self._ticket(worker, task)

    def _ticket(self, worker, value):
        number = len(self.tickets)
        self.tickets[number] = worker, value
        return number

    def wait(self, tickets, seconds):
        self.waits.append(seconds)
        self.together = max(self.together, len(tickets))
        ready = [one for one in tickets if self.tickets[one][1] is not None and not self._hangs(one)]
        loaded = [one for one in ready if not isinstance(self.tickets[one][1], Letters)]
        return sorted(loaded)[:1] or sorted(ready)[-4:]

    def _hangs(self, ticket):
        task = self.tickets[ticket][1]
        return isinstance(task, Letters) and self.hang in task.ids

    def result(self, ticket):
        worker, task = self.tickets[ticket]
        if worker not in self.alive:
            raise WorkerLost("it was killed.")
        if not isinstance(task, Letters):
            return task
        self.ran.append(task.ids)
        for letter in task.ids:
            if self.lose.get(letter):
                self.lose[letter] -= 1
                self.alive.discard(worker)
                raise WorkerLost("it was killed.")
        if self.fail in task.ids:
            return Failure("ValueError: bad letter")
        return [letter.upper() for letter in task.ids]

    def stop(self, worker):
        self.running.remove(worker)  # fails the second time
        self.alive.discard(worker)


def tasks(text, size=2):
    return [Letters(tuple(text[start : start + size])) for start in range(0, len(text), size)]


def run(engine, text="abcdefghijklmnop", seconds=60.0):
    """Return the results, joined; errors by their kind."""
    pairs = list(WorkerPool(engine, seconds).map(tasks(text)))
    assert [task for task, _ in pairs] == tasks(text), "in order"
    return "".join(entry if isinstance(entry, str) else f"<{entry.kind}>" for _, entries in pairs for entry in entries)


def test_results_come_in_the_order_of_the_tasks():
    engine = Engine(workers=3)
    assert run(engine) == "ABCDEFGHIJKLMNOP"
    assert engine.started == 3
    assert engine.together <= 3 * 2, "a worker has at most two tasks"
    assert run(Engine(), text="") == ""


def test_only_some_tasks_are_read_ahead():
    read = []
    results = WorkerPool(Engine(), 60.0).map(read.append(task) or task for task in tasks("abcdefghijklmnopqrstuvwxyz"))
    next(results)
    assert len(read) <= pool.TASKS_AHEAD * 2


def test_the_batch_of_a_dead_worker_goes_to_another_whole():
    engine = Engine(lose={"c": 1})
    assert run(engine) == "ABCDEFGHIJKLMNOP"
    assert engine.started == 3
    assert engine.ran.count(("c", "d")) == 2
    assert all(len(ids) == 2 for ids in engine.ran)


def test_a_sample_that_ends_workers_is_the_only_error():
    engine = Engine(lose={"c": 99})
    assert run(engine) == "AB<WorkerEnded>DEFGHIJKLMNOP"
    ends = pool.BATCH_ATTEMPTS + pool.SAMPLE_ATTEMPTS
    assert engine.started == 2 + ends
    assert engine.ran.count(("c",)) == pool.SAMPLE_ATTEMPTS


def test_a_stuck_worker_is_replaced_after_the_time_limit(monkeypatch):
    clock = iter(range(0, 100_000, 20))
    monkeypatch.setattr(pool.time, "monotonic", lambda: next(clock))
    engine = Engine(hang="c")
    assert run(engine, seconds=5000) == "AB<WorkerEnded>DEFGHIJKLMNOP"
    assert max(engine.waits) <= pool.CHECK_SECONDS


def test_an_exception_in_a_worker_concerns_one_sample_and_ends_no_worker():
    engine = Engine(fail="d")
    assert run(engine) == "ABC<SampleFailed>EFGHIJKLMNOP"
    assert engine.started == 2


def test_what_ends_every_worker_ends_the_work():
    with pytest.raises(WorkersFailed, match="it was killed"):
        run(Engine(lose=dict.fromkeys("abcdefghijklmnop", 99)))
    with pytest.raises(ByeError, match="Something"):
        run(Engine(facts=[Failure("", ByeError())]))
    with pytest.raises(WorkersFailed, match="ImportError"):
        run(Engine(facts=[Failure("ImportError: no module")]))


def test_workers_with_another_model_are_refused():
    other = replace(FACTS, identity={**IDENTITY, "versions": {"torch": "3"}})
    with pytest.raises(WorkersDiffer, match="torch: one has 2, another 3"):
        run(Engine(facts=[FACTS, other]))


def test_a_worker_that_never_starts_is_not_waited_for_unless_there_is_no_other(monkeypatch):
    assert run(Engine(facts=[FACTS, None])) == "ABCDEFGHIJKLMNOP"
    clock = iter(range(0, 100_000, 20))
    monkeypatch.setattr(pool.time, "monotonic", lambda: next(clock))
    with pytest.raises(NoWorkerStarted, match="1,800 seconds"):
        run(Engine(facts=[None]))


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    from bye_core.workers import ModelSource, ray_engine

    monkeypatch.setattr(ray_engine.util, "find_spec", lambda name: None)
    with pytest.raises(NoRay, match="pip install"), open_model(ModelSource("model"), WorkerSettings(workers=2)):
        raise AssertionError


def test_settings():
    assert not WorkerSettings()
    assert WorkerSettings(ray="auto")
    for wrong in ({"workers": -1}, {"seconds": 0}):
        with pytest.raises(BadWorkerSetting):
            WorkerSettings(**wrong)
    assert worker_arguments(WorkerSettings(2, "h:1", 60)) == [
        "--workers",
        "2",
        "--ray",
        "h:1",
        "--worker-seconds",
        "60",
    ]
    assert worker_arguments(WorkerSettings()) == []


def test_the_settings_of_an_own_ray_do_not_stay_behind(monkeypatch):
    """A cluster that the same process joins later has the user's own token and priority."""
    pytest.importorskip("ray", reason="pip install ray")
    for name in (ray_engine.ALL_ADDRESSES, ray_engine.AUTHENTICATION, ray_engine.TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(ray_engine.NICENESS, "3")
    constants = importlib.import_module("ray._private.ray_constants")
    before, allowed = dict(os.environ), constants.ENABLE_RAY_CLUSTER
    with ray_engine._local_addresses_only(True):
        assert not constants.ENABLE_RAY_CLUSTER
        assert os.environ[ray_engine.AUTHENTICATION] == "token"
        assert len(os.environ[ray_engine.TOKEN]) == 64
        assert os.environ[ray_engine.NICENESS] == "3", "the user's own value"
    assert dict(os.environ) == before
    assert allowed == constants.ENABLE_RAY_CLUSTER


def test_a_ray_that_does_not_answer_is_an_error(monkeypatch):
    monkeypatch.setattr(ray_engine, "REPLY_SECONDS", 0.05)
    never = threading.Event()
    with pytest.raises(ray_engine.NoReply, match="did not answer within"):
        ray_engine._in_time(never.wait)
    never.set()


def test_what_joining_raises_is_raised():
    with pytest.raises(ValueError, match="no such cluster"):
        ray_engine._in_time(lambda: (_ for _ in ()).throw(ValueError("no such cluster")))
