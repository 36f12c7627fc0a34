"""The forms offer the devices of the machine."""

import pytest

from bye_core.ui.shared.devices import devices_of


@pytest.mark.parametrize(
    ("gpus", "nvidia", "apple", "values"),
    [
        ([], False, False, ["auto", "cpu"]),
        ([], True, False, ["auto", "cpu", "cuda"]),  # the driver is installed, the number of GPUs is not known
        (["0"], True, False, ["auto", "cpu", "cuda"]),
        (["0", "1"], True, False, ["auto", "cpu", "cuda", "cuda:0", "cuda:1"]),
        ([], False, True, ["auto", "cpu", "mps"]),
    ],
)
def test_devices(gpus, nvidia, apple, values):
    assert [value for _, value in devices_of(gpus, nvidia=nvidia, apple=apple)] == values
