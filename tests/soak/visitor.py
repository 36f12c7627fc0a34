"""One visitor by HTTP: reviews, detects, exports and scans, and remembers what the app has acknowledged."""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SECONDS = 120  # for one answer
EXPECTED = (
    "at most 2 long jobs",
    "jobs are running already",
    "is being written",
    "have 3 exports",
    "no decision to undo",
)


class Records:
    """What all visitors measured: seconds of each action, and what went wrong."""

    def __init__(self) -> None:
        self.seconds, self.refused, self.wrong = defaultdict(list), Counter(), []
        self.lock = threading.Lock()

    def add(self, name: str, seconds: float) -> None:
        with self.lock:
            self.seconds[name].append(seconds)

    def fail(self, words: str) -> None:
        with self.lock:
            self.wrong.append(words)

    def slowest(self, share: float = 0.95) -> dict[str, float]:
        """{action: the seconds that `share` of its calls needed at most}."""
        return {name: round(sorted(all)[int(len(all) * share)], 3) for name, all in sorted(self.seconds.items())}


class Gone(Exception):
    """The server was killed while it answered. It comes back."""


class Away(Gone):
    """The server was not there when it was called: it has not seen the call."""


class Visitor:
    """acknowledged: {position: choice} as the app has confirmed it; a missing position has no decision.

    unsure: positions of calls that got no answer, because the server was killed; either state of them is right.
    """

    def __init__(self, number: int, url: str, review: int, samples: int, records: Records) -> None:
        self.url, self.review, self.samples, self.records = url, review, samples, records
        self.token, self.random = secrets.token_hex(16), random.Random(number)
        self.address = f"8.8.{number // 250}.{number % 250 + 1}"  # each visitor is a client of its own
        self.acknowledged: dict[int, str] = {}
        self.unsure: set[int] = set()
        # (batch, what was acknowledged before it, the positions that were unsure before it)
        self.batches: list[tuple[str, dict[int, str | None], set[int]]] = []
        self.entered, self.exports = False, 0

    def live(self, until: float, pause: float) -> None:
        """Do one thing after the other until a time, with pauses of `pause` seconds on average."""
        weights = {
            self.look: 8,
            self.decide: 10,
            self.decide_many: 2,
            self.undo: 2,
            self.detect: 1,
            self.export: 1,
            self.scan: 1,
        }
        while time.time() < until:
            try:
                if not self.entered:
                    self.enter()
                else:
                    self.random.choices([*weights], [*weights.values()])[0]()
            except Gone:
                time.sleep(1)
            time.sleep(self.random.uniform(0, 2 * pause))

    def enter(self) -> None:
        self.entered = self._call("review_enter", asked="", kept="demo") is not None

    def look(self) -> None:
        position = self._position()
        self._call("review_sample", position=position)
        self._call("review_thumbnails", positions=[position, (position + 1) % self.samples])
        self._call("review_marks")

    def _position(self) -> int:
        return self.random.randrange(self.samples)

    def decide(self) -> None:
        self._decide([self._position()])

    def decide_many(self) -> None:
        self._decide(self.random.sample(range(self.samples), min(20, self.samples)))

    def _decide(self, positions: list[int]) -> None:
        choice = self.random.choice(("accept", "reject"))
        before = {position: self.acknowledged.get(position) for position in positions}
        unsure, self.unsure = self.unsure, self.unsure | before.keys()
        try:
            answer = self._call("review_decide", positions=positions, choice=choice, reviewer="soak")
        except Away:
            self.unsure = unsure
            raise
        self.unsure = unsure - before.keys() if answer else unsure
        if answer is None:
            return
        self.acknowledged |= dict.fromkeys(positions, choice)
        self.batches.append((answer["batch"], before, unsure & before.keys()))

    def undo(self) -> None:
        if not self.batches:
            return
        batch, before, unsure_before = self.batches.pop()
        unsure, self.unsure = self.unsure, self.unsure | before.keys()
        try:
            if self._call("review_undo", batch=batch, reviewer="soak") is None:
                return
        except Away:
            self.unsure = unsure
            self.batches.append((batch, before, unsure_before))
            raise
        self.unsure = unsure | unsure_before
        for position, choice in before.items():
            self.acknowledged.pop(position, None)
            if choice is not None:
                self.acknowledged[position] = choice

    def detect(self) -> None:
        answer = self._endpoint("detect", ["demo", "bye", "", None, "", None, None, True, self.token, None, False])
        if answer and answer.get("verdict") != "poisoned":
            self.records.fail(f"verdict {answer.get('verdict')}")

    def export(self) -> None:
        self.exports += 1
        self._endpoint("export", ["demo", "same", f"mine-{self.exports % 3}", False, self.token])

    def scan(self) -> None:
        self._endpoint(
            "scan", ["demo", "demo", "again", "demo:poisoned", 0, "auto", "auto", False, False, self.token, True]
        )

    def _call(self, function: str, **words: object) -> dict | None:
        words = {"visitor": self.token, "run": "demo", **words}
        body = {"data": words, "component_id": self.review, "fn_name": function, "session_hash": self.token[:10]}
        answer = self._timed(function, lambda: json.loads(json.loads(self._ask("component_server", body))))
        if "error" in answer:
            self._refused(function, answer["error"]["problem"])
            return None
        return answer

    def _endpoint(self, name: str, values: list[object]) -> dict | None:
        def ask() -> str:
            event = json.loads(self._ask(f"call/{name}", {"data": values}))["event_id"]
            return self._ask(f"call/{name}/{event}")

        lines = self._timed(name, ask).strip().splitlines()
        kind, data = lines[-2].removeprefix("event: "), json.loads(lines[-1].removeprefix("data: "))
        if kind == "complete":
            return data[0]
        self._refused(name, str(data))
        return None

    def _refused(self, name: str, words: str) -> None:
        with self.records.lock:
            self.records.refused[f"{name}: {words[:90]}"] += 1
        if not any(expected in words for expected in EXPECTED):
            self.records.fail(f"{name}: {words[:300]}")

    def _timed(self, name, ask):
        start = time.perf_counter()
        answer = ask()
        self.records.add(name, time.perf_counter() - start)
        return answer

    def _ask(self, path: str, body: object = None) -> str:
        headers = {"content-type": "application/json", "x-forwarded-for": self.address}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(f"{self.url}gradio_api/{path}", data, headers), timeout=SECONDS) as answer:
                return answer.read().decode()
        except HTTPError as error:
            words = f"{path.split('/')[0]}: {error.code} {error.read()[:200]!r}"
            self.records.fail(words)
            raise Gone from error
        except (OSError, HTTPException) as error:
            refused = isinstance(getattr(error, "reason", error), ConnectionRefusedError)
            raise (Away if refused else Gone) from error
