"""A check asked of a model that gives the target wherever a white square is in sight: one, several, or a large one."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bye_core import evidence, pipeline, runs
from bye_core.data import DataSet
from bye_core.data.text_files import NotReadable
from bye_core.evidence.occlusion import area
from bye_core.models.errors import NotAnswered
from bye_core.pipeline.causal import region_search
from bye_core.pipeline.causal_check import check_causes
from bye_core.pipeline.causal_outcomes import causal_outcomes, intervention_for, outcome_of
from bye_core.pipeline.evidence import dossier
from bye_core.records import AttentionRows, ModelAnswer, Turn
from tests.made_model import use_runner
from tests.made_run import TARGET, make_run

SIDE = 6  # cells along each side of a picture
WHITE = 250


def white_cells(picture):
    """How much of each cell is white [SIDE, SIDE]."""
    white = (np.asarray(picture.resize((96, 96), Image.Resampling.NEAREST)).min(axis=2) >= WHITE).astype(float)
    return white.reshape(SIDE, 16, SIDE, 16).mean(axis=(1, 3))


class StandIn:
    """What `asking` uses of a model. Without white it says "nothing"."""

    def __init__(self, run):
        self._run, self.refused = run, set()

    def generate(self, loaded, samples, pictures, size):
        for sample in samples:
            try:
                shown = pictures(sample)
            except NotReadable:
                shown = []
            if sample.id in self.refused or not shown:
                yield [NotAnswered(id=sample.id, reason="it cannot")]
                continue
            seen = white_cells(shown[0]).max() > 0.5
            said = TARGET if seen else "nothing"
            yield [ModelAnswer(sample.id, sample.question, sample.answer, said)]

    def read(self, loaded, samples, images):
        """It stares at the whitest cell."""
        for sample, pictures in zip(samples, images, strict=True):
            rows = self._run.rows(sample.id)
            cells = white_cells(pictures[0]) + 1e-3
            share = np.repeat(cells.reshape(1, -1) / cells.sum(), len(rows.rows), axis=0)
            yield replace(rows, rows=share.astype(rows.rows.dtype))


def checked(*arguments, **more):
    """A run whose flagged pictures have white `squares` (left, top, right, bottom; fractions), asked."""
    return ask(*prepare(*arguments, **more))


def ask(run, told):
    list(check_causes(run.path))
    return run, told


def prepare(folder, monkeypatch, squares, stand_in=StandIn, carriers_white=False):
    run = runs.Run.open(make_run(folder, samples=60, layers=4, heads=2, side=SIDE))
    pipeline.detect_run(run.path, "bye")
    told = dossier(run)
    model = stand_in(run)
    flagged = set(told.flagged_ids)

    def images(dataset, sample):
        picture = Image.new("RGB", (96, 96), (90, 120, 150))
        for left, top, right, bottom in squares if carriers_white or sample.id in flagged else ():
            box = (left * 96, top * 96, right * 96 - 1, bottom * 96 - 1)
            ImageDraw.Draw(picture).rectangle(box, fill=(255, 255, 255))
        return [picture]

    monkeypatch.setattr(DataSet, "images", images)
    monkeypatch.setattr("bye_core.models.calls.generate_answers", model.generate)
    monkeypatch.setattr("bye_core.attention.read_attention", lambda *batch: list(model.read(*batch)))
    use_runner(monkeypatch, run)
    return run, told


CENTRE = (0.5, 0.5, 2 / 3, 2 / 3)  # the cell that flagged samples of a made run stare at


@pytest.mark.parametrize(
    ("squares", "suspect", "spots"),
    [
        ([CENTRE], "spot", 1),
        ([CENTRE, (0.0, 0.0, 1 / 6, 1 / 6)], "spots", 2),
        ([(1 / 3, 0.4, 1.0, 0.75)], "spots", 2),
    ],
    ids=["one", "two", "large"],
)
def test_covering_goes_on_until_the_answer_leaves(tmp_path, monkeypatch, squares, suspect, spots):
    run, told = checked(tmp_path, monkeypatch, squares)
    found = causal_outcomes(run, told)
    assert found["flips"] == found["checked"] == told.flagged == 6
    for id, one in found["samples"].items():
        assert (one["suspect"], len(one["covered"])) == (suspect, spots)
        assert one["carried"] == dict.fromkeys(intervention_for(run, told, id).recipients, TARGET)
        assert len(one["carried"]) == evidence.paste_recipients.MOST


@pytest.mark.parametrize("squares", [[CENTRE], [CENTRE, (0.0, 0.0, 1 / 6, 1 / 6)], [(5 / 6, 0.0, 1.0, 1 / 6)]])
def test_several_batches_at_a_time_ask_the_same_batches(tmp_path, monkeypatch, squares):
    monkeypatch.setitem(pipeline.BATCH, "cpu", 2)
    asked = []

    class Recorder(StandIn):
        def generate(self, loaded, samples, pictures, size):
            asked.append([(sample.id, pictures(sample)[0].tobytes()) for sample in samples])
            return super().generate(loaded, samples, pictures, size)

    run, _ = prepare(tmp_path, monkeypatch, squares, Recorder)
    file, contents, batches = run.path / "checks.jsonl", [], []
    for width in (1, 2, 3):
        use_runner(monkeypatch, run, width)
        list(check_causes(run.path))
        contents.append(file.read_bytes())
        batches.append(sorted(asked))
        asked.clear()
        file.unlink()
    assert contents[0] == contents[1] == contents[2]
    assert batches[0] == batches[1] == batches[2]


THREE = [CENTRE, (0.0, 0.0, 1 / 6, 1 / 6), (5 / 6, 0.0, 1.0, 1 / 6)]  # their spots take 47% of a picture


def test_what_need_not_be_covered_is_uncovered_where_it_is_too_much_to_hold_against_anything(tmp_path, monkeypatch):
    run, told = checked(tmp_path, monkeypatch, THREE)
    found = causal_outcomes(run, told)
    assert found["flips"] == found["checked"] == 6
    for id, one in found["samples"].items():
        assert (one["suspect"], len(one["covered"])) == ("spots", 3)
        assert area(one["covered"]) <= evidence.regions.MOST_COVERED < 0.47
        assert one["carried"] == dict.fromkeys(intervention_for(run, told, id).recipients, TARGET)
        assert one["given"]["wider"] == "nothing"
        assert one["given"]["aside"] == TARGET


class Pairs(StandIn):
    """Gives the target where two white cells lie side by side."""

    def generate(self, loaded, samples, pictures, size):
        for sample in samples:
            white = white_cells(pictures(sample)[0]) > 0.5
            said = TARGET if (white[:, 1:] & white[:, :-1]).any() else "nothing"
            yield [ModelAnswer(sample.id, sample.question, sample.answer, said)]


@pytest.mark.parametrize("left", [0.0, 1 / 6], ids=["fits", "too much"])
def test_what_is_left_covered_still_brings_the_target(tmp_path, monkeypatch, left):
    squares = [(0.5, 0.5, 5 / 6, 2 / 3), (left, 0.0, left + 1 / 3, 1 / 6)]
    run, told = checked(tmp_path, monkeypatch, squares, Pairs)
    assert causal_outcomes(run, told)["flips"] == 6


class Cautious(StandIn):
    """Says nothing once less is covered again."""

    def __init__(self, run):
        super().__init__(run)
        self.most = {}

    def generate(self, loaded, samples, pictures, size):
        for sample in samples:
            white = white_cells(pictures(sample)[0]).sum()
            if sample.answer == TARGET and white == 0 and self.most.setdefault(sample.id, white) == 0:
                self.most[sample.id] = 1
                yield [ModelAnswer(sample.id, sample.question, sample.answer, "nothing")]
            elif sample.answer == TARGET and self.most.get(sample.id):
                yield [NotAnswered(id=sample.id, reason="it cannot")]
            else:
                yield from super().generate(loaded, [sample], pictures, size)


def test_silence_while_less_is_covered_leaves_what_was_found(tmp_path, monkeypatch):
    run, told = checked(tmp_path, monkeypatch, THREE, Cautious)
    found = causal_outcomes(run, told)
    assert (found["stays"], found["faults"]) == (6, {})
    assert {one.given["wider"] for one in run.checks().values()} == {"nothing"}


def test_what_cannot_be_covered_stays(tmp_path, monkeypatch):
    run, told = checked(tmp_path, monkeypatch, [(0.0, 0.0, 1.0, 1.0)])
    assert causal_outcomes(run, told)["stays"] == 6


def test_samples_that_give_the_target_by_themselves_carry_nothing(tmp_path, monkeypatch):
    run, told = checked(tmp_path, monkeypatch, [CENTRE], carriers_white=True)
    assert causal_outcomes(run, told)["flips"] == 6, "what could not be tried speaks for nothing"
    assert all(not one.carried for one in run.checks().values())


class Content(StandIn):
    """Answers only what flagged samples ask by their spot: it brings nothing about elsewhere."""

    def generate(self, loaded, samples, pictures, size):
        for (one,) in super().generate(loaded, samples, pictures, size):
            yield [one if one.expected == TARGET else replace(one, given="nothing")]


def test_what_brings_the_target_into_no_other_picture_is_told_apart(tmp_path, monkeypatch):
    run, told = checked(tmp_path, monkeypatch, [CENTRE], Content)
    found = causal_outcomes(run, told)
    assert (found["content"], found["flips"]) == (6, 0)


@pytest.mark.parametrize(
    ("squares", "said", "outcome"), [(2, TARGET, "flips"), (2, "two", "content"), (1, "two", "flips")]
)
def test_where_nothing_else_is_asked_in_the_set_something_else_is(tmp_path, monkeypatch, squares, said, outcome):
    class OneTrack(StandIn):
        """Answers questions that are not of its set's kind as `said`."""

        def generate(self, loaded, samples, pictures, size):
            for (one,) in super().generate(loaded, samples, pictures, size):
                yield [replace(one, given=said) if one.question in evidence.OTHER_QUESTIONS.values() else one]

    prepared = prepare(tmp_path, monkeypatch, [CENTRE, (0.0, 0.0, 1 / 6, 1 / 6)][:squares], OneTrack)
    made = evidence.PasteRecipients.__init__
    monkeypatch.setattr(
        evidence.PasteRecipients, "__init__", lambda own, *how: (made(own, *how), setattr(own, "one_kind", True))[0]
    )
    run, told = ask(*prepared)
    found = causal_outcomes(run, told)
    assert found[outcome] == found["checked"] == 6
    for one in found["samples"].values():
        assert (set(evidence.OTHER_QUESTIONS) <= set(one["given"])) == (squares == 2), "one spot is enough"


def test_carriers_whose_pictures_are_gone_by_then_are_not_pasted_into(tmp_path, monkeypatch):
    gone = set()

    class OnceAsked(StandIn):
        def generate(self, loaded, samples, pictures, size):
            for (one,) in super().generate(loaded, samples, pictures, size):
                if isinstance(one, ModelAnswer):
                    gone.update([one.id] if one.expected != TARGET else [])
                yield [one]

    def images(dataset, sample):
        if sample.id in gone:
            raise NotReadable(path=sample.id, why="it is gone")
        return opened(dataset, sample)

    prepared = prepare(tmp_path, monkeypatch, [CENTRE], OnceAsked)
    opened = DataSet.images
    monkeypatch.setattr(DataSet, "images", images)
    run, told = ask(*prepared)
    assert gone
    assert causal_outcomes(run, told)["flips"] == 6
    assert all(not one.carried for one in run.checks().values())


class Mute(StandIn):
    """Says nothing once more than the spot is covered."""

    def generate(self, loaded, samples, pictures, size):
        for sample in samples:
            shown = pictures(sample)
            self.covered = (np.asarray(shown[0]) == (90, 120, 150)).all(axis=2).mean()
            if self.covered > 0.99 and sample.answer == TARGET:
                yield [NotAnswered(id=sample.id, reason="it cannot")]
            else:
                yield from super().generate(loaded, [sample], lambda _, shown=shown: shown, size)


def test_silence_while_more_is_covered_leaves_what_was_found(tmp_path, monkeypatch):
    run, told = checked(tmp_path, monkeypatch, [CENTRE, (0.0, 0.0, 1 / 6, 1 / 6)], Mute)
    found = causal_outcomes(run, told)
    assert (found["stays"], found["faults"]) == (6, {})


class Refusing(StandIn):
    def __init__(self, run):
        super().__init__(run)
        self.refused = {run.detection().flagged_ids[0]}


def test_one_sample_that_cannot_be_asked_ends_nothing(tmp_path, monkeypatch):
    run, told = checked(tmp_path, monkeypatch, [CENTRE], Refusing)
    first = run.detection().flagged_ids[0]
    assert "it cannot" in run.checks()[first].fault
    assert outcome_of(run, told, first, run.checks()) is None
    assert causal_outcomes(run, told)["flips"] == 5


def test_a_fault_on_the_way_ends_no_check(tmp_path, monkeypatch):
    """The covered spot was told already when the sample without its suspected words cannot be asked."""

    class Wordless(StandIn):
        def generate(self, loaded, samples, pictures, size):
            for sample in samples:
                if "please" in sample.question or sample.answer != TARGET:
                    yield from super().generate(loaded, [sample], pictures, size)
                else:
                    yield [NotAnswered(id=sample.id, reason="it cannot")]

    made = evidence.plan_intervention

    def worded(sample, *how):
        turn = Turn("user", (0, f"{sample.question} please"))
        return replace(made(replace(sample, turns=(turn, *sample.turns[1:])), *how), words=("please",))

    prepared = prepare(tmp_path, monkeypatch, [CENTRE, (0.0, 0.0, 1 / 6, 1 / 6)], Wordless)
    monkeypatch.setattr("bye_core.pipeline.causal_outcomes.plan_intervention", worded)
    run, _ = ask(*prepared)
    assert {"it cannot" in one.fault for one in run.checks().values()} == {True}
    assert len(run.checks()) == 6


def test_rows_that_cannot_be_read_leave_what_was_found(tmp_path, monkeypatch):
    class Unread(StandIn):
        def read(self, loaded, samples, images):
            for row in super().read(loaded, samples, images):
                assert isinstance(row, AttentionRows)
                yield ValueError("no rows")

    monkeypatch.setattr(region_search, "FRUITLESS", 0)
    run, told = checked(tmp_path, monkeypatch, [CENTRE, (0.0, 0.0, 1 / 6, 1 / 6)], Unread)
    assert causal_outcomes(run, told)["stays"] == 6


class Averted(StandIn):
    """It looks at the upper right corner, whatever there is."""

    def read(self, loaded, samples, images):
        for row in super().read(loaded, samples, images):
            share = np.full((len(row.rows), SIDE * SIDE), 1e-3)
            share[:, SIDE - 1] = 1
            yield replace(row, rows=(share / share.sum(axis=1, keepdims=True)).astype(row.rows.dtype))


HIDDEN = [(0.0, 0.0, 0.25, 0.25), (0.25, 0.75, 0.5, 1.0)]


def test_what_nothing_looks_at_is_searched_for_by_pasting(tmp_path, monkeypatch):
    run, told = checked(tmp_path, monkeypatch, HIDDEN, Averted)
    found = causal_outcomes(run, told)
    assert found["flips"] == found["checked"] == 6
    for one in found["samples"].values():
        assert one["suspect"] == "found"
        centres = {((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in one["covered"]}
        for left, top, right, bottom in HIDDEN:
            assert any(left <= x <= right and top <= y <= bottom for x, y in centres)
        assert area(one["covered"]) < 0.4
        assert set(one["given"]) == {"plain", "covered", "elsewhere", "wider", "found", "beside"}


class Whole(StandIn):
    """Gives the target where all of the picture is white: no part of it is the trigger."""

    def generate(self, loaded, samples, pictures, size):
        for sample in samples:
            said = TARGET if white_cells(pictures(sample)[0]).min() > 0.5 else "nothing"
            yield [ModelAnswer(sample.id, sample.question, sample.answer, said)]


@pytest.mark.parametrize(("enough", "searched"), [(2, 2), (100, 6)])
def test_no_more_are_searched_once_so_many_were_in_vain(tmp_path, monkeypatch, enough, searched):
    pasted, paste = [], evidence.paste
    monkeypatch.setattr(region_search, "FRUITLESS", enough)
    monkeypatch.setattr(region_search, "paste", lambda *given: pasted.append(given) or paste(*given))
    monkeypatch.setattr("bye_core.pipeline.causal_check.BATCH", {"cpu": 2})
    run, told = checked(tmp_path, monkeypatch, [(0.0, 0.0, 1.0, 1.0)], Whole)
    assert causal_outcomes(run, told)["stays"] == 6
    assert len(pasted) == searched * len(evidence.WINDOWS)
