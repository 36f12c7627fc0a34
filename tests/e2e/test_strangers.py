"""(j) Two sessions on one run see each other's decisions; on a public host a third visitor sees nothing of it."""

import http.client
import json
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote

import pytest
from gradio_client import Client

from bye_core import pipeline
from bye_core.runs import Run
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.web.needed_routes import NEEDED, is_needed
from bye_core.ui.workspace import new_token, workspace_of

ROOT = Path(__file__).resolve().parents[2]
PARAMETER = re.compile(r"\{\w+(?::path)?\}")
NO_RUN = "does not exist here made here"


def test_two_sessions_see_each_others_decisions(made, serve, open_page, review, expect):
    path = made()
    url = serve()
    one, other = review(open_page(url)), review(open_page(url))
    first, second = one.ids(2)
    one.page.keyboard.press("r")
    one.settle()
    other.page.goto(url)  # a reload would open the same sample again, which the address names
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
    for limit in ("CALLS", "WAITING", "STREAMS", "SESSIONS", "UNREAD"):
        monkeypatch.setenv(f"BYE_LIMIT_{limit}", "100000")  # all strangers of these tests are one client
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


def config_of(url):
    with urllib.request.urlopen(f"{url}config", timeout=60) as answer:
        return json.loads(answer.read())


def test_a_third_visitor_is_refused_by_every_server_function(url, home, owner):
    functions = [
        (component["id"], name)
        for component in config_of(url)["components"]
        for name in component["props"].get("server_fns") or ()
    ]
    assert len(functions) > 5
    stranger = new_token()
    for id, function in functions:
        for visitor in (stranger, "", "../visitors", None):
            ask = {"visitor": visitor, "run": "made", "choice": "accept", "id": "s00000", "positions": [0]}
            body = {"data": ask, "component_id": id, "fn_name": function, "session_hash": "stranger"}
            status, text = post(url, "component_server", body)
            assert status == 200
            assert set(json.loads(json.loads(text))) == {"error"}, function
            assert owner not in text
            assert str(home) not in text
    own = {"visitor": owner, "run": "made"}
    (id,) = [id for id, function in functions if function == "review_marks"]
    body = {"data": own, "component_id": id, "fn_name": "review_marks", "session_hash": "owner"}
    assert "marks" in json.loads(json.loads(post(url, "component_server", body)[1]))


def test_a_third_visitor_is_refused_by_the_endpoints_and_by_paths(url, home, owner):
    client = Client(url, verbose=False)
    stranger = new_token()
    endpoints = set(client.view_api(return_format="dict", print_info=False)["named_endpoints"])
    assert endpoints == {"/scan", "/detect", "/export"}
    for name in endpoints - {"/scan"}:
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
    handlers = [one for one in config_of(url)["dependencies"] if one["backend_fn"]]
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
        for path in ("call/export", "queue/join", "component_server", "upload", "cancel", "reset"):
            status, _ = post(url, path, body, origin=origin, **{"x-forwarded-host": "evil.example"})
            assert status == 403, path
    status, _ = post(url, "call/export", body, origin=url.rstrip("/"))
    assert status == 200


def routes_of(routes):
    """(template, method) of every route of the app, also of those that Gradio includes as a group."""
    for route in routes:
        if group := getattr(route, "original_router", None):
            yield from routes_of(group.routes)
        else:
            yield from ((route.path, method) for method in sorted(getattr(route, "methods", None) or ["GET"]))


@pytest.fixture
def routes(url, servers):
    """Every (template, method) that the running app itself knows."""
    (app,) = [page.app for page in servers.pages if page.local_url == url]
    found = set(routes_of(app.routes))
    assert len(found) > 60
    return found


def ask(url, method, path, **headers):
    """(status, headers, the first 64 KiB at most) of a request. A stream is not read to its end."""
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=30)
    try:
        body = b"{}" if method == "POST" else None
        connection.request(method, path, body, {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read1(1 << 16).decode("utf-8", "replace")
    finally:
        connection.close()


def test_every_route_checks_its_host_and_is_needed_or_closed(url, owner, routes):
    paths = {(PARAMETER.sub("x", template), method) for template, method in routes}
    for path, method in paths:
        status, headers, _ = ask(url, method, path, host="evil.example", origin="http://evil.example")
        assert status == 403, path
        assert not [name for name in headers if name.lower().startswith("access-control")], path
        if not is_needed(method, path):
            assert ask(url, method, path)[0] == 404, path
    served = {(PARAMETER.sub("x", template), method) for template in NEEDED for method in NEEDED[template]}
    assert served - paths == {("/bye/scripts/x", "GET")}
    status, headers, _ = ask(url, "GET", "/config", origin="http://evil.example")
    assert (status, headers["access-control-allow-origin"]) == (200, None)
    assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_no_route_tells_a_stranger_anything(url, home, owner, routes):
    """Every parameter of every address is given what could name the owner's run, export or files."""
    root = home / "visitors" / owner
    names = ["made", f"..%2F{owner}%2Fruns%2Fmade", f"{root}/runs/made/run.json", "%2e%2e/secret", str(home / "secret")]
    tried = 0
    for template, method in sorted(routes):
        if not is_needed(method, PARAMETER.sub("x", template)):
            continue
        for name in names if "{" in template else [""]:
            path = PARAMETER.sub(lambda _, name=name: name, template)
            query = "" if method == "POST" else f"?session_hash=made&visitor={new_token()}&run=made&upload_id=made"
            text = ask(url, method, path + query)[2].replace(unquote(name), "")  # a refusal repeats what was asked for
            tried += 1
            for foreign in (str(home), str(ROOT), owner, "Backdoor Attack!"):
                assert foreign not in text, path
    assert tried > 50


def test_a_call_with_an_address_for_a_file_is_refused_by_every_handler(url, owner):
    """Gradio would download it before any handler sees it."""
    file = {"path": "http://127.0.0.1:9/x", "meta": {"_type": "gradio.FileData"}, "orig_name": "x.zip"}
    handlers = [handler for handler in config_of(url)["dependencies"] if handler["inputs"]]
    assert len(handlers) > 50
    for handler in handlers:
        body = {"data": [file] * len(handler["inputs"]), "fn_index": handler["id"], "session_hash": "stranger"}
        assert post(url, "queue/join", body)[0] == 400
    for path in ("call/detect", "call/export", "component_server", "component_server/"):
        assert post(url, path, {"data": [[{"deep": file}]], "run": file})[0] == 400
