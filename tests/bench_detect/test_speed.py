"""`bench`: every way is measured, its ratios are within a round, and the image queue is watched."""

import json
from types import SimpleNamespace

import pytest

from bye_core import attention
from bye_core.bench import speed
from bye_core.cli import main


def test_every_way_is_measured(capsys):
    arguments = "bench --shape tiny --rounds 2 --batch 2 --side 28 --device cpu --json --progress none"
    assert main.main(arguments.split()) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["model"], facts["adapter"], facts["dtype"]) == ("tiny", True, "float32")
    assert list(facts["ways"]) == ["plain", "authors", "scan", "scan_answers"]
    plain = facts["ways"]["plain"]["seconds"]
    for way in facts["ways"].values():
        assert len(way["seconds"]) == 2
        ratios = [one / other for one, other in zip(way["seconds"], plain, strict=True)]
        assert way["ratio"] == pytest.approx(sum(ratios) / 2)
        assert way["samples_per_second"] > 0
    assert 0 <= facts["waiting_share"] <= 1
    lines = list(speed.table(facts))
    assert len(lines) == 8
    share = facts["device_per_second"] / facts["images_per_second"]
    assert facts["device_per_second"] < 1 / speed.DEVICE_SECONDS
    assert f"({share:.2f} of these)" in lines[-1]
    assert "scan --answers" in lines[4]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({}, speed.NoModel),
        ({"model": "m", "shape": "tiny"}, speed.NoModel),
        ({"shape": "tiny", "batch": 0}, speed.BelowOne),
    ],
)
def test_wrong_settings(settings, error):
    with pytest.raises(error):
        next(speed.measure_speed(speed.SpeedSettings(**settings)))


def test_an_image_that_comes_late_is_waited_for(monkeypatch):
    """The share of waiting is that of the time in which the model has no image; the first group does not count."""
    clock = [0.0]
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])

    def tick(seconds, value=None):
        clock[0] += seconds
        return value

    opened = SimpleNamespace(samples=["a", "b"], encoded=None)
    monkeypatch.setattr(speed, "open_ahead", lambda *_, **__: (tick(3.0, opened) for _ in range(4)))
    monkeypatch.setattr(speed, "_images_of", lambda opened: [])
    monkeypatch.setattr(speed, "_batches", lambda *_: None)
    monkeypatch.setattr(attention, "read_attention", lambda *_: tick(1.0))
    monkeypatch.setattr(speed.time, "sleep", tick)
    models, settings = speed._models(None), speed.SpeedSettings()
    assert speed._throughput(None, None, settings, models["scan"]) == pytest.approx((6 / 12, 9 / 12))
    assert speed._throughput(None, None, settings, models["images"]) == pytest.approx((6 / 9, 1.0))
    pauses = 3 * 2 * speed.DEVICE_SECONDS
    assert speed._throughput(None, None, settings, models["device"])[0] == pytest.approx(6 / (9 + pauses))
