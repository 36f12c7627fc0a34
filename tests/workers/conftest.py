"""One Ray cluster for all tests of workers: a head without CPUs and two nodes, as processes of this machine."""

import logging
import os

import pytest

from bye_core.workers.ray_engine import NICENESS
from tests.models.tiny import save_tiny
from tests.pipeline.test_stages import write_set

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ[NICENESS] = "0"
COUNT = 24


@pytest.fixture(scope="package")
def cluster(tmp_path_factory):
    """A running cluster; its processes end with the tests."""
    pytest.importorskip("ray", reason="pip install ray")
    from ray.cluster_utils import Cluster

    started = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "num_gpus": 0, "include_dashboard": False, "object_store_memory": 100 << 20},
    )
    for _ in range(2):
        started.add_node(num_cpus=3, num_gpus=0, object_store_memory=100 << 20)
    yield started
    started.shutdown()


@pytest.fixture(scope="package")
def connected(cluster):
    """The module ray, connected to the cluster for all tests of this process."""
    import ray

    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="package")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("model") / "tiny", num_hidden_layers=1))


@pytest.fixture(scope="package")
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("data") / "raw", COUNT)
