"""Runs workers as actors of Ray: on this machine only, or in a cluster that is already running."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module, util
from typing import Any

from bye_core.errors import printable
from bye_core.workers.errors import ClusterNotJoined, NoRay, RayNotStarted, TooManyWorkers
from bye_core.workers.pool import WorkerLost
from bye_core.workers.settings import WorkerSettings
from bye_core.workers.source import ModelSource
from bye_core.workers.task import Task
from bye_core.workers.worker import TASKS_AT_A_TIME, Worker

LOOPBACK = "127.0.0.1"
# With this variable, or this constant once Ray is imported, Ray binds its ports to the loopback address only.
ALL_ADDRESSES, ALL_ADDRESSES_CONSTANT = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "ENABLE_RAY_CLUSTER"
AUTHENTICATION, TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
# Ray gives its workers the lowest priority but a few, to protect machines that do other work.
NICENESS = "RAY_worker_niceness"
# Joining a cluster takes seconds (measured), also on a busy machine.
REPLY_SECONDS = 120.0


class RayEngine:
    """Implements pool.Engine with actors that hold the model. Ray itself restarts nothing: the pool does."""

    def __init__(self, ray: Any, source: ModelSource, count: int, options: dict[str, Any]) -> None:
        self._ray, self._source, self.workers = ray, source, count
        self._actor = ray.remote(Worker).options(
            max_restarts=0, max_task_retries=0, max_concurrency=TASKS_AT_A_TIME, **options
        )
        self._running: list[Any] = []

    def start(self) -> tuple[Any, Any]:
        worker = self._actor.remote(self._source)
        self._running.append(worker)
        return worker, worker.load.remote()

    def submit(self, worker: Any, task: Task) -> Any:
        return worker.run.remote(task)

    def wait(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        done, _ = self._ray.wait(tickets, num_returns=len(tickets), timeout=0)
        if not done and seconds:
            done, _ = self._ray.wait(tickets, num_returns=1, timeout=seconds)
        return list(done)

    def result(self, ticket: Any) -> Any:
        try:
            return self._ray.get(ticket)
        except self._ray.exceptions.RayError as error:
            raise WorkerLost(_short(error)) from error

    def stop(self, worker: Any) -> None:
        self._running.remove(worker)
        self._ray.kill(worker)

    def close(self) -> None:
        """End all workers."""
        for worker in list(self._running):
            self.stop(worker)


@contextmanager
def ray_engine(source: ModelSource, settings: WorkerSettings) -> Iterator[RayEngine]:
    """Start Ray on this machine or join a cluster; end the workers, and a Ray that was started, with the context.

    If this process uses Ray already, its connection is used and kept.
    Raises: NoRay if Ray is not installed; RayNotStarted, ClusterNotJoined, TooManyWorkers.
    """
    if util.find_spec("ray") is None:
        raise NoRay()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with _connection(settings) as ray:
        count, options = _resources(ray, source, settings)
        engine = RayEngine(ray, source, count, options)
        try:
            yield engine
        finally:
            engine.close()


@contextmanager
def _connection(settings: WorkerSettings) -> Iterator[Any]:
    with _local_addresses_only(not settings.ray):
        import ray

        if ray.is_initialized():
            yield ray
            return
        folder = "" if settings.ray else tempfile.mkdtemp(prefix="bye-ray-")
        answered = True
        try:
            try:
                with _own_signals():
                    if settings.ray:
                        _in_time(lambda: _join(ray, settings.ray))
                    else:
                        _start(ray, settings.workers, folder)
            except (OSError, RuntimeError, ValueError, AssertionError, ray.exceptions.RayError) as error:
                answered = not isinstance(error, NoReply)
                failure = ClusterNotJoined if settings.ray else RayNotStarted
                raise failure(address=settings.ray, reason=_short(error)) from error
            yield ray
        finally:
            if answered:
                ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


class NoReply(OSError):
    """Ray did not answer within REPLY_SECONDS."""


def _in_time(call: Callable[[], None]) -> None:
    """Call in a thread. Raises: NoReply after REPLY_SECONDS; what the call raises.

    Ray 2.60 waits without limit for the first reply of a cluster.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=run, name="ray", daemon=True)
    thread.start()
    thread.join(REPLY_SECONDS)
    if thread.is_alive():
        raise NoReply(f"Ray did not answer within {REPLY_SECONDS:g} seconds")
    if raised:
        raise raised[0]


def _join(ray: Any, address: str) -> None:
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def _start(ray: Any, workers: int, folder: str) -> None:
    """Start Ray on this machine: its ports on the loopback address, a secret token, private files, no dashboard."""
    threads = _threads(workers)
    ray.init(
        address="local", num_cpus=workers * threads, include_dashboard=False, log_to_driver=False,
        logging_level=logging.ERROR, _temp_dir=folder, _node_ip_address=LOOPBACK,
    )  # fmt: skip
    address = ray.util.get_node_ip_address()
    if address != LOOPBACK:
        raise RuntimeError(f"its ports would be open on {address}")


@contextmanager
def _local_addresses_only(local: bool) -> Iterator[None]:
    """Make Ray use the loopback address and a token of this process, if `local`; else the user's own settings."""
    changed = {ALL_ADDRESSES: "0", AUTHENTICATION: "token"} if local else {}
    for name, value in ((TOKEN, secrets.token_hex(32)), (NICENESS, "0")):
        if local and name not in os.environ:
            changed[name] = value
    earlier = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    constants = import_module("ray._private.ray_constants")
    allowed = getattr(constants, ALL_ADDRESSES_CONSTANT)
    if local:
        setattr(constants, ALL_ADDRESSES_CONSTANT, False)  # for a Ray that was imported before
    try:
        yield
    finally:
        # A cluster that this process joins later has the user's own settings.
        setattr(constants, ALL_ADDRESSES_CONSTANT, allowed)
        for name, before in earlier.items():
            os.environ.pop(name, None)
            if before is not None:
                os.environ[name] = before


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's own handler of SIGTERM, which Ray replaces when it starts."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _resources(ray: Any, source: ModelSource, settings: WorkerSettings) -> tuple[int, dict[str, Any]]:
    """Return the number of workers, and what each of them needs. Ray gives a worker as many threads as CPUs."""
    available = ray.cluster_resources()
    gpus = int(available.get("GPU", 0)) if source.device in ("auto", "cuda") else 0
    if source.device == "cuda" or gpus:
        if settings.workers > gpus and not settings.ray:
            raise TooManyWorkers(workers=settings.workers, gpus=gpus)
        return settings.workers or max(gpus, 1), {"num_gpus": 1, "num_cpus": 1}
    machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    machines = [cpus for cpus in machines if cpus] or [1]
    count = settings.workers or len(machines)
    # The most that each of them can have, if every machine holds whole workers.
    cpus = next((n for n in range(min(machines), 1, -1) if sum(cores // n for cores in machines) >= count), 1)
    return count, {"num_cpus": cpus, "scheduling_strategy": "SPREAD"}


def _threads(workers: int) -> int:
    """Return the threads of each of `workers` workers on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


def _short(error: BaseException) -> str:
    """Return the first line of an error of Ray, whose messages have many."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[0] if lines else type(error).__name__, 300).rstrip(".") + "."
