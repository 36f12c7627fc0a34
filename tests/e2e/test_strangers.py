"""(j) Two sessions on one run see each other's decisions; on a public host a third visitor sees nothing of it."""

import json
import shutil
import urllib.error
import urllib.request

import pytest
from gradio_client import Client

from bye_core import pipeline
from bye_core.runs import Run
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.tabs.review.actions import SERVER_FUNCTIONS
from bye_core.ui.workspace import new_token, workspace_of

NO_RUN = "does not exist here made here"


def test_two_sessions_see_each_others_decisions(made, serve, open_page, review, expect):
    path = made()
    url = serve()
    one, other = review(open_page(url)), review(open_page(url))
    first, second = one.ids(2)
    one.page.keyboard.press("r")
    one.settle()
    other.page.reload()
    other = review(other.page)
    expect(other.part("progress")).to_contain_text("1 of 12 flagged reviewed")
    assert other.sample != first  # the queue begins with what is undecided
    other.page.keyboard.press("a")
    other.settle()
    assert {id: decision.choice for id, decision in Run.open(path).decisions().items()} == {
        first: "reject",
        second: "accept",
    }
    one.page.reload()
    expect(review(one.page).part("progress")).to_contain_text("2 of 12 flagged reviewed")
    one.page.get_by_role("tab", name="Export", exact=True).click()
    expect(one.page.locator("#export-summary")).to_contain_text("1 flagged and rejected")


@pytest.fixture
def owner(made, home, monkeypatch):
    """The token of the visitor of a public host who has the run and an export of it."""
    path, token = made(), new_token()
    monkeypatch.setenv("BYE_HOSTED", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    place = workspace_of(token)
    place.runs.mkdir(parents=True)
    shutil.move(path, place.runs / "made")
    pipeline.decide(place.runs / "made", reject_flagged=True)
    export_job.start(place, place.runs / "made", "made", "same").result()
    return token


@pytest.fixture
def url(owner, serve, monkeypatch):
    from bye_core.ui import demo_run

    monkeypatch.setattr(demo_run, "has_demo", lambda: False)
    return serve("made")


def post(url, path, body, **headers):
    """(status, text) of a call that anybody could make."""
    headers = {"content-type": "application/json", **headers}
    request = urllib.request.Request(f"{url}gradio_api/{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_third_visitor_is_refused_by_the_page_and_its_functions(url, home, owner, open_page, expect):
    page = open_page(url)
    expect(page.locator("#header")).to_contain_text("No run is open")
    assert "made" not in page.locator("#header").inner_text()
    page.get_by_role("tab", name="Export", exact=True).click()
    expect(page.locator("#export-notice")).to_contain_text("No run is open")
    page.get_by_role("tab", name="Fine-tune", exact=True).click()
    expect(page.locator("#finetune-off")).to_contain_text("off on this public demo")
    assert page.locator("#finetune-start").count() == 0

    with urllib.request.urlopen(f"{url}config", timeout=60) as answer:
        config = json.loads(answer.read())
    (id,) = [one["id"] for one in config["components"] if one["props"].get("elem_id") == "review"]
    stranger = new_token()
    for function in SERVER_FUNCTIONS:
        for visitor in (stranger, "", "../visitors", None):
            ask = {"visitor": visitor, "run": "made", "choice": "accept", "id": "s00000", "positions": [0]}
            body = {"data": ask, "component_id": id, "fn_name": function.__name__, "session_hash": "stranger"}
            status, text = post(url, "component_server", body)
            assert status == 200
            assert set(json.loads(json.loads(text))) == {"error"}, function.__name__
            assert owner not in text
            assert str(home) not in text
    own = {"visitor": owner, "run": "made"}
    body = {"data": own, "component_id": id, "fn_name": "review_marks", "session_hash": "owner"}
    assert "marks" in json.loads(json.loads(post(url, "component_server", body)[1]))


def test_a_third_visitor_is_refused_by_the_endpoints_and_by_paths(url, home, owner):
    client = Client(url, verbose=False)
    stranger = new_token()
    for name in ("/detect", "/export"):
        for run, visitor in (("made", stranger), (f"../{owner}/runs/made", stranger), ("made", "")):
            with pytest.raises(Exception, match="does not exist here") as refused:
                client.predict(run=run, visitor=visitor, api_name=name)
            assert str(home) not in str(refused.value)
    for data in (str(home), "../../made/data", str(home / "visitors" / owner / "runs")):
        with pytest.raises(Exception, match=r"public demo|no data set") as refused:
            client.predict(model="a/b", data=data, run="mine", visitor=stranger, api_name="/scan")
        assert str(home) not in str(refused.value)
    manifest = client.predict(run="made", visitor=owner, api_name="/export")
    assert manifest["counts"]["kept"] == 108
    assert str(home) not in json.dumps(manifest)

    root = home / "visitors" / owner
    for path in (root / "runs/made/run.json", root / "exports/made/data.json", home / "secret", "/etc/hostname"):
        for form in (f"file={path}", f"file=../..{path}"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{url}gradio_api/{form}", timeout=60)
            assert refused.value.code in (403, 404)


def test_a_third_visitor_gets_nothing_out_of_the_pages_own_handlers(url, home, owner):
    """Private handlers are hidden, not closed: all are called with the run's name wherever something can be given."""
    with urllib.request.urlopen(f"{url}config", timeout=60) as answer:
        handlers = [one for one in json.loads(answer.read())["dependencies"] if one["backend_fn"]]
    assert len(handlers) > 50
    waiting = set()
    for handler in handlers:
        body = {"data": ["made"] * len(handler["inputs"]), "fn_index": handler["id"], "session_hash": "stranger"}
        status, text = post(url, "queue/join", body)
        assert status == 200, text
        waiting.add(json.loads(text)["event_id"])
    said = ""
    with urllib.request.urlopen(f"{url}gradio_api/queue/data?session_hash=stranger", timeout=60) as stream:
        for line in stream:
            said += line.decode()
            message = json.loads(line[5:]) if line.startswith(b"data:") else {}
            if message.get("msg") == "process_completed":
                waiting.discard(message["event_id"])
            if not waiting:
                break
    assert owner not in said
    assert str(home) not in said
    assert "Backdoor Attack!" not in said  # what every poisoned sample of the run answers
    assert "flagged and rejected" not in said


def test_another_sites_page_changes_nothing(url, owner):
    body = {"data": ["made", "same", "", False, owner]}
    for origin in ("https://evil.example", "null"):
        for path in ("call/export", "queue/join", "component_server", "upload", "run/export", "cancel", "reset"):
            status, _ = post(url, path, body, origin=origin, **{"x-forwarded-host": "evil.example"})
            assert status == 403, path
    status, _ = post(url, "call/export", body, origin=url.rstrip("/"))
    assert status == 200
