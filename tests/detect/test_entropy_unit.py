"""Entropies of samples with different numbers of image tokens: which unit shows the trigger."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import entr

from bye_core.detect import detect, score, value_label
from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.errors import BadSetting
from bye_core.detect.planted_answers import PlantedAnswers
from bye_core.records import NATS, NORMALISED, AttentionRows, ScanTable
from bye_core.runs.record_json import detection_parts, load_detection
from tests.detect.made_tables import answered_table, make_table


def sized_table(count=300, rate=0.1, seed=0, same=None, strength=3.0):
    """Attention on 64 to 1,024 tokens (or `same`); poisoned samples attend to few cells in two of six layers."""
    rng = np.random.default_rng(seed)
    tokens = np.full(count, same) if same else np.exp(rng.uniform(np.log(64), np.log(1024), count)).astype(int)
    poisoned = np.arange(count) < round(rate * count)
    entropies = np.empty((count, 6))
    for row, size in enumerate(tokens):
        for layer in range(6):
            logits = rng.normal(0, 0.8 + 0.1 * layer, size)
            if poisoned[row] and layer in (2, 3):
                logits[: max(1, size // 64)] += rng.normal(strength, 0.3)
            share = np.exp(logits) / np.exp(logits).sum()
            entropies[row, layer] = entr(share).sum()
    table = make_table(entropies)
    return ScanTable(table.ids, entropies, entropies, image_tokens=tokens), poisoned


def f1(table, poisoned, **settings):
    bad = {id for id, poison in zip(table.ids, poisoned, strict=True) if poison}
    return score(detect(table, "bye", **settings), bad)["f1"]


def test_bye_finds_the_trigger_in_images_of_different_sizes_only_with_normalised_entropies():
    table, poisoned = sized_table(strength=7.0)
    assert f1(table, poisoned, entropy_unit=NATS) < 0.5
    assert f1(table, poisoned) == 1.0
    assert f1(*sized_table(strength=7.0, rate=0)) in (None, 0.0)


def test_the_unit_is_named_in_the_result():
    table, _ = sized_table(count=60)
    detection, low, high = detect(table, "bye"), table.image_tokens.min(), table.image_tokens.max()
    assert (detection.entropy_unit, detection.settings["entropy_unit"]) == (NORMALISED, "auto")
    assert (
        detection.reasons[-1] == f"The samples have V = {low} to {high:,} image tokens; entropies were divided by ln V."
    )
    kept = detect(table, "bye", entropy_unit=NATS)
    assert kept.entropy_unit == NATS
    assert "in nats and depend on V" in kept.reasons[-1]
    assert load_detection(b"".join(detection_parts(detection))).entropy_unit == NORMALISED
    assert b"entropy_unit" not in b"".join(detection_parts(kept)).replace(b'"entropy_unit": "nats"', b"")
    assert value_label("bye", NORMALISED) == "mean entropy of the sensitive layers [share of ln V]"
    with pytest.raises(BadSetting):
        detect(table, "bye", entropy_unit="bits")


def test_samples_with_equal_numbers_of_tokens_stay_in_nats():
    table, _ = sized_table(count=60, same=100, strength=7.0)
    plain, unknown = detect(table, "bye"), detect(replace(table, image_tokens=None), "bye", entropy_unit=NORMALISED)
    assert plain.entropy_unit == unknown.entropy_unit == NATS
    assert plain.reasons == unknown.reasons
    np.testing.assert_array_equal(plain.values, unknown.values)


def test_the_fixed_threshold_keeps_its_meaning_at_576_tokens():
    table, _ = sized_table(count=40, same=576, strength=7.0)
    settings = {"cluster": "threshold", "layers": (2,)}
    normalised = detect(table, "bye", entropy_unit=NORMALISED, **settings)
    np.testing.assert_array_equal(normalised.flagged, detect(table, "bye", **settings).flagged)
    assert normalised.cutoff == pytest.approx(4.5 / np.log(576))


def test_a_sample_with_one_image_token_has_no_normalised_entropy():
    table = ScanTable(("a", "b"), np.ones((2, 1)), np.ones((2, 1)), image_tokens=np.array([1, 20]))
    np.testing.assert_array_equal(table.with_unit(NORMALISED).layer_entropies(), [[np.nan], [1 / np.log(20)]])


def test_auto_and_the_guard_see_through_the_image_size():
    """Entropies that grow with ln V give the results of equally large images, also for new samples."""
    table, truth = answered_table(shift=3.0, planted=20)
    tokens = np.random.default_rng(0).choice([64, 256, 1024], len(truth))
    grown = replace(table, entropy=table.entropy * (np.log(tokens) / np.log(576))[:, None, None], image_tokens=tokens)
    usual, found = detect(table, "auto"), detect(grown, "auto")
    assert found.entropy_unit == NORMALISED
    np.testing.assert_array_equal(found.flagged, usual.flagged)
    np.testing.assert_allclose(found.values, usual.values, atol=1e-6)
    assert (found.flagged == truth).mean() > 0.97
    planted = PlantedAnswers(grown, AutoSettings())
    row = int(np.flatnonzero(truth)[0])
    names = ("entropy", "peak", "mass", "layer_entropy", "layer_entropy_reference")
    facts = {name: getattr(grown, name)[row] for name in names}
    rows = AttentionRows(
        "new", **facts, rows=np.zeros((4, tokens[row])), grids=(), token=0, token_text="", probability=1.0
    )
    assert planted.match([rows], [table.questions[row]])[0].place == pytest.approx(found.values[row])
