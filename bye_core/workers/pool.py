"""Hands tasks to workers, gives the tasks of dead and stuck workers to others, and returns the results in order.

The rules are independent of Ray: an Engine starts the workers and carries tasks and results.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from bye_core.errors import SampleFailed
from bye_core.workers.errors import NoWorkerStarted, WorkerEnded, WorkersDiffer, WorkersFailed
from bye_core.workers.source import ModelFacts
from bye_core.workers.task import Task
from bye_core.workers.worker import TASKS_AT_A_TIME, Failure

# A batch that ended this many workers is tried sample by sample; a sample that ended this many is given up (ours).
BATCH_ATTEMPTS, SAMPLE_ATTEMPTS = 3, 2
# Workers that may end one after another, without a finished task in between, before the work stops (ours). More than a
# batch whose first samples are all bad needs.
MOST_LOSSES = 12
# Tasks a worker that are read, running or finished but not yet returned: bounds the memory of this process (ours).
TASKS_AHEAD = 4
# A large model takes long to load from a slow disk; a cluster may have to start machines first (ours).
START_SECONDS = 1800.0
# Longest wait before the time limits are checked again (ours).
CHECK_SECONDS = 5.0

Work = TypeVar("Work", bound=Task)


class WorkerLost(Exception):
    """The worker ended before it returned a result."""


class Engine(Protocol):
    """Starts workers and runs their methods. Workers and tickets are opaque; tickets are hashable."""

    @property
    def workers(self) -> int:
        """The number of workers wanted."""

    def start(self) -> tuple[Any, Any]:
        """Start a worker; return it, and the ticket for its ModelFacts or Failure."""

    def submit(self, worker: Any, task: Task) -> Any:
        """Let a worker run a task; return the ticket for the result or Failure."""

    def wait(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Return the finished tickets; wait for one up to `seconds` seconds."""

    def result(self, ticket: Any) -> Any:
        """Return the result of a finished ticket. Raises: WorkerLost."""

    def stop(self, worker: Any) -> None:
        """End a worker at once; it may have ended before."""


@dataclass(eq=False)
class _Piece:
    """A task, or one sample of it (`part` is its position); `losses` counts the workers that ended with it."""

    task: Task
    turn: int
    part: int | None = None
    losses: int = 0


@dataclass(eq=False)
class _Seat:
    """A worker with the tickets that it works on. `since`: when it last finished something, or began."""

    worker: Any
    loading: Any
    since: float
    pieces: dict[Any, _Piece] = field(default_factory=dict)

    @property
    def tickets(self) -> list[Any]:
        return [self.loading, *self.pieces] if self.loading is not None else list(self.pieces)

    def takes(self, piece: _Piece) -> bool:
        """Return whether the worker has room. A piece that was lost before runs alone, so it harms no other."""
        if self.loading is not None or len(self.pieces) >= TASKS_AT_A_TIME:
            return False
        return not self.pieces or not (piece.losses or any(other.losses for other in self.pieces.values()))


class WorkerPool:
    """Runs tasks on the workers of an engine; implements Runner. `seconds` is the time limit of a task."""

    loaded = None

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._engine, self._seconds = engine, seconds
        self._facts: ModelFacts | None = None
        self._losses = 0
        self._seats = [self._new_seat() for _ in range(engine.workers)]
        self._pending: deque[_Piece] = deque()
        self._results: dict[int, Any] = {}
        self._parts: dict[int, tuple[Task, list[Any]]] = {}

    @property
    def width(self) -> int:
        return self._engine.workers

    @property
    def facts(self) -> ModelFacts:
        """The facts of the first worker that has loaded the model. Raises: NoWorkerStarted, or why it cannot load."""
        while self._facts is None:
            self._advance()
        return self._facts

    def map(self, tasks: Iterable[Work]) -> Iterator[tuple[Work, Any]]:
        """Yield each task with its result, in the order of the tasks.

        Raises: the ByeError of a task, WorkersFailed, NoWorkerStarted, WorkersDiffer.
        """
        upcoming, first, following = iter(tasks), 0, 0
        current: dict[int, Work] = {}
        while True:
            while len(current) < TASKS_AHEAD * self.width and (task := next(upcoming, None)) is not None:
                current[following] = task
                self._pending.append(_Piece(task, following))
                following += 1
            if not current:
                return
            self._hand_out()
            self._advance()
            while first in self._results:
                yield current.pop(first), self._results.pop(first)
                first += 1

    def _new_seat(self) -> _Seat:
        worker, loading = self._engine.start()
        return _Seat(worker, loading, time.monotonic())

    def _hand_out(self) -> None:
        """Give the pending pieces to the workers with the fewest pieces."""
        while self._pending:
            piece = self._pending[0]
            free = [seat for seat in self._seats if seat.takes(piece)]
            if not free:
                return
            seat = min(free, key=lambda one: len(one.pieces))
            if not seat.pieces:
                seat.since = time.monotonic()
            seat.pieces[self._engine.submit(seat.worker, piece.task)] = self._pending.popleft()

    def _advance(self) -> None:
        """Wait for results; store them, and replace workers that have ended or take too long."""
        owners = {ticket: seat for seat in self._seats for ticket in seat.tickets}
        limits = [seat.since + self._seconds for seat in self._seats if seat.pieces]
        left = min((limit - time.monotonic() for limit in limits), default=CHECK_SECONDS)
        done = self._engine.wait(list(owners), min(max(left, 0.0), CHECK_SECONDS))
        for ticket in done:
            if ticket in owners[ticket].tickets:  # the loss of a worker settles all its tickets
                self._settle(owners[ticket], ticket)
        for seat in [] if done else list(self._seats):
            if seat.pieces and time.monotonic() - seat.since >= self._seconds:
                self._lose(seat, f"it did not finish within {self._seconds:g} seconds")
        if all(seat.loading is not None for seat in self._seats):
            newest = max(seat.since for seat in self._seats)
            if time.monotonic() - newest >= START_SECONDS:
                raise NoWorkerStarted(seconds=round(START_SECONDS))

    def _settle(self, seat: _Seat, ticket: Any) -> None:
        try:
            value = self._engine.result(ticket)
        except WorkerLost as lost:
            self._lose(seat, str(lost))
            return
        seat.since = time.monotonic()
        if ticket == seat.loading:
            seat.loading = None
            self._check_facts(value)
            return
        piece = seat.pieces.pop(ticket)
        if not isinstance(value, Failure):
            self._losses = 0
            self._store(piece, value)
        elif value.error is not None:
            raise value.error
        elif piece.part is None:
            self._split(piece)
        else:
            self._store(piece, piece.task.fail(SampleFailed(id=piece.task.ids[0], reason=value.reason)))

    def _check_facts(self, facts: ModelFacts | Failure) -> None:
        if isinstance(facts, Failure):
            raise facts.error or WorkersFailed(reason=facts.reason)
        self._facts = self._facts or facts
        own, other = self._facts.comparable(), facts.comparable()
        for name, value in own.items():
            if value != other[name]:
                raise WorkersDiffer(name=name, one=value, other=other[name])

    def _lose(self, seat: _Seat, reason: str) -> None:
        """Replace a worker. Its pieces go back to the front of the line, are split, or are given up."""
        self._engine.stop(seat.worker)
        self._losses += 1
        if self._losses > MOST_LOSSES:
            raise WorkersFailed(reason=reason)
        pieces = list(seat.pieces.values())
        seat.pieces.clear()  # their tickets are settled by this
        for piece in reversed(pieces):
            piece.losses += 1
            if piece.losses < (BATCH_ATTEMPTS if piece.part is None else SAMPLE_ATTEMPTS):
                self._pending.appendleft(piece)
            elif piece.part is None:
                self._split(piece)
            else:
                self._store(piece, piece.task.fail(WorkerEnded(id=piece.task.ids[0], reason=reason)))
        self._seats[self._seats.index(seat)] = self._new_seat()

    def _split(self, piece: _Piece) -> None:
        """Put the samples of a task at the front of the line, one by one."""
        parts = [_Piece(task, piece.turn, part) for part, task in enumerate(piece.task.split())]
        self._parts[piece.turn] = (piece.task, [None] * len(parts))
        self._pending.extendleft(reversed(parts))

    def _store(self, piece: _Piece, result: Any) -> None:
        """Store the result of a task; join those of its samples once all are there."""
        if piece.part is None:
            self._results[piece.turn] = result
            return
        task, results = self._parts[piece.turn]
        results[piece.part] = (result,)
        if all(results):
            del self._parts[piece.turn]
            self._results[piece.turn] = task.join([result for (result,) in results])
