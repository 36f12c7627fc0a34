"""Stages with the workers of a Ray cluster give what one process gives, whichever workers end midway."""

import hashlib
import shutil
import subprocess
import sys

import psutil
import pytest

from bye_core import pipeline, runs
from bye_core.attacks import make_attack
from bye_core.pipeline import ScanSettings
from bye_core.workers import ONE_PROCESS, WorkerSettings
from tests.waiting import PATIENCE
from tests.workers.conftest import COUNT


def scan(model, data, run, workers=None, at_batch=None):
    """Scan; return the digests of the stored files. `at_batch`: called after each saved batch with its number."""
    settings = ScanSettings(batch=2, device="cpu", answers=True, loaders=0, workers=workers or WorkerSettings())
    for number, _step in enumerate(pipeline.scan(model, data, run, settings=settings)):
        if at_batch:
            at_batch(number)
    return digests(run)


def digests(run):
    assert runs.Run.open(run).counts().scored == COUNT
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted((run / "shards").iterdir())}


@pytest.fixture(scope="module")
def plain(model, data, tmp_path_factory):
    return scan(model, data, tmp_path_factory.mktemp("plain") / "run")


def raylet(node):
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def is_worker(process):
    """Whether a process holds the model; False for one that has just ended."""
    try:
        return process.cmdline()[:1] != [] and process.cmdline()[0].startswith("ray::Worker")
    except psutil.Error:
        return False


def workers_of(cluster):
    return [child for node in cluster.list_all_nodes() for child in raylet(node).children() if is_worker(child)]


def addresses(process):
    """The addresses that a process listens on; none for one that has just ended."""
    try:
        return [one.laddr.ip for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
    except psutil.Error:
        return []


def command(model, data, run, *more):
    options = ["--batch", "2", "--device", "cpu", "--answers", "--progress", "jsonl", *more]
    where = ["--model", model, "--data", str(data), "--run", str(run)]
    return [sys.executable, "-m", "bye_core", "scan", *where, *options]


def test_killed_drivers_workers_and_nodes_only_cost_time(cluster, connected, model, data, plain, tmp_path):
    """One worker until the driver is killed, then two: one is killed, and later a node with a worker is stopped."""
    run = tmp_path / "run"
    driver = subprocess.Popen(
        command(model, data, run, "--ray", cluster.address, "--workers", "1"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with driver:
        for _ in range(3):
            driver.stdout.readline()
        driver.kill()
    assert 0 < runs.Run.open(run).counts().scored < COUNT
    killed, stopped = [], []

    def disturb(number):
        if number == 1:
            killed.append(workers_of(cluster)[0])
            killed[0].kill()
        if number == 2:
            busy = [node for node in cluster.list_all_nodes() if any(map(is_worker, raylet(node).children()))]
            stopped.append(busy[0])
            cluster.remove_node(busy[0])

    try:
        assert scan(model, data, run, WorkerSettings(ray=cluster.address), disturb) == plain
        assert killed
        assert stopped
    finally:
        cluster.add_node(num_cpus=3, num_gpus=0, object_store_memory=100 << 20)


def test_workers_of_this_machine_listen_to_it_alone_and_end_on_request(model, data, tmp_path):
    pytest.importorskip("ray", reason="pip install ray")
    run = tmp_path / "run"
    driver = subprocess.Popen(
        command(model, data, run, "--workers", "2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with driver:
        assert '"scan"' in driver.stdout.readline()
        assert '"scan"' in driver.stdout.readline()
        processes = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
        assert 1 <= sum(map(is_worker, processes)) <= 2, "the second may still be starting"
        listening = [address for process in processes for address in addresses(process)]
        assert listening
        assert {ip.removeprefix("::ffff:") for ip in listening} <= {"127.0.0.1", "::1"}
        driver.terminate()  # Ray replaces the handler of this signal
        assert driver.wait(timeout=PATIENCE) == 143
        _, left = psutil.wait_procs(processes, timeout=PATIENCE)
        assert not left
        lines = driver.stdout.read().splitlines()
    assert lines[-1] == '{"stopped": true}'
    assert runs.Run.open(run).counts().scored


@pytest.fixture
def workers(cluster, connected):
    return WorkerSettings(1, cluster.address)


def last(steps):
    return list(steps)[-1].facts


def test_evaluate_with_an_attack_and_a_broken_image(workers, model, data, tmp_path, broken):
    attack = make_attack(["patch"])
    results = []
    for number, where in enumerate((ONE_PROCESS, workers)):
        out = tmp_path / f"{number}.jsonl"
        facts = last(pipeline.evaluate(model, broken, attack=attack, device="cpu", out=out, workers=where))
        results.append(({**facts, "answers": ""}, out.read_bytes()))
    assert results[0] == results[1]
    assert results[0][0]["left_out"] == 1
    assert results[0][0]["asr_samples"] == 23


def test_guard(workers, model, data, tmp_path, broken):
    run = tmp_path / "run"
    last(pipeline.scan(model, data, run, settings=ScanSettings(device="cpu")))
    pipeline.detect_run(run, "bye", tau=0)
    with pipeline.guard_in_workers(run, workers, device="cpu") as opened:
        distributed = last(pipeline.guard_set(opened, broken))
    assert distributed == last(pipeline.guard_set(pipeline.open_guard(run, device="cpu"), broken))
    assert (distributed["samples"], distributed["failed"]) == (23, 1)


def test_the_causal_check_with_two_workers(cluster, connected, model, data, tmp_path, monkeypatch):
    monkeypatch.setitem(pipeline.BATCH, "cpu", 2)
    run = tmp_path / "run"
    last(pipeline.scan(model, data, run, settings=ScanSettings(device="cpu")))
    flagged = pipeline.detect_run(run, "bye", tau=0).flagged_ids
    results = []
    for where in (ONE_PROCESS, WorkerSettings(2, cluster.address)):
        assert last(pipeline.check_causes(run, ids=flagged[:4], workers=where)) == {"failed": 0}
        assert set(runs.Run.open(run).checks()) == set(flagged[:4])
        results.append((run / "checks.jsonl").read_bytes())
        (run / "checks.jsonl").unlink()
    assert results[0] == results[1]


@pytest.fixture
def broken(data, tmp_path):
    """The data set with an image that ends early."""
    copy = shutil.copytree(data, tmp_path / "broken")
    image = copy / "images/3.png"
    image.write_bytes(image.read_bytes()[:-40])
    return copy
