"""The short form of the soak: three visitors at once, a kill of the server, no browser and no scan."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.soak.__main__ import ROOT, Server, disk_of, lost, tracebacks
from tests.soak.visitor import Away, Gone, Records, Visitor

VISITORS, ROUNDS = 3, 12
MOST_GROWTH, MOST_DISK = 1.05, 40  # of the memory, as in an hour; MiB for each visitor: a run, and three exports


@pytest.fixture
def server(tmp_path: Path):
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def together(people: list[Visitor], live: Callable[[Visitor], object]) -> None:
    threads = [threading.Thread(target=live, args=(person,), daemon=True) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)


def everything(person: Visitor) -> None:
    for act in (
        person.enter,
        person.look,
        person.decide,
        person.decide_many,
        person.undo,
        person.detect,
        person.export,
    ):
        act()


def reviews(person: Visitor) -> None:
    for _ in range(ROUNDS):
        for act in (person.look, person.decide, person.decide_many, person.undo, person.decide):
            act()


def decides_until_the_end(person: Visitor) -> None:
    """Decide until the server is killed; the kill is the only end."""
    try:
        while True:
            person.decide()
    except (Away, Gone):
        return


def test_nothing_is_lost_and_nothing_grows(server: Server, tmp_path: Path) -> None:
    samples, records = len((ROOT / "assets/demo/run/samples.jsonl").read_bytes().splitlines()), Records()
    people = [Visitor(number, server.url, server.review, samples, records) for number in range(VISITORS)]
    for person in people:
        person.enter()
    killer = threading.Timer(1.0, server.kill)
    killer.start()
    together(people, decides_until_the_end)
    killer.join()
    assert sum(len(person.acknowledged) for person in people) > 0
    server.start()
    together(people, everything)
    together(people, reviews)
    memory = server.memory()
    together(people, reviews)
    together(people, everything)
    assert server.memory() <= MOST_GROWTH * memory
    assert disk_of(tmp_path) <= MOST_DISK * VISITORS
    assert [line for person in people for line in lost(person, tmp_path)] == []
    assert [*records.wrong, *tracebacks(server.log)] == []


def test_an_undo_makes_what_was_unsure_unsure_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision whose answer a kill cut off may be stored: the undo of a later one restores it."""
    person = Visitor(0, "", 0, 1, Records())

    def cut_off(function: str, **words: object) -> dict:
        raise Gone

    monkeypatch.setattr(person, "_call", cut_off)
    with pytest.raises(Gone):
        person.decide()
    monkeypatch.setattr(person, "_call", lambda function, **words: {"batch": "b"})
    person.decide()
    assert person.unsure == set()
    assert 0 in person.acknowledged
    person.undo()
    assert person.unsure == {0}
    assert person.acknowledged == {}
