"""The app's HTML: made once for an address, with Review in it."""

import re

import brotli
import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from bye_core.files import ASSETS
from bye_core.ui import app
from bye_core.ui.tabs.review.view import FIRST_SCREEN
from bye_core.ui.web import scripts
from bye_core.ui.web.first_screen import KEPT, FirstScreen

HTML = "<html><head><title>x</title></head><body class='a'><gradio-app></gradio-app></body></html>"
HOSTILE = "</script><script>alert(1)</script>"


class Gradio:
    """Counts what it is asked for, and answers with the address that it was asked at."""

    def __init__(self):
        self.asked, self.status = [], 200

    async def __call__(self, scope, receive, send):
        headers = dict(scope["headers"])
        self.asked.append((scope["method"], scope["path"], headers.get(b"accept-encoding")))
        text = HTML.replace("x", headers[b"host"].decode(), 1) if scope["path"] == "/" else "passed on"
        await Response(text, self.status, media_type="text/html")(scope, receive, send)


@pytest.fixture
def gradio():
    return Gradio()


@pytest.fixture
def client(gradio, home):
    page = app.build(HOSTILE)
    page.theme_hash = "abc"
    return TestClient(FirstScreen(gradio, page, FIRST_SCREEN))


def test_review_comes_before_gradio_and_its_styles_with_it(client):
    html = client.get("/").text
    assert html.index('rel="stylesheet"') < html.index("</head>") < html.index('data-part="page"')
    assert html.index('data-part="page"') < html.index("window.byeReview") < html.index("<gradio-app>")
    assert "theme.css?v=abc" in html
    assert html.endswith("</body></html>")


def test_the_name_of_a_run_cannot_end_the_script(client):
    html = client.get("/").text
    assert HOSTILE not in html
    assert len(re.findall("<script[ >]", html)) == html.count("</script>") == 2


def test_it_is_made_once_for_an_address(client, gradio):
    texts = {client.get("/?__theme=dark", headers={"host": host}).text for host in ("a", "b", "a", "b")}
    assert len(texts) == 2
    assert len(gradio.asked) == 2
    client.get("/?deep_link=1", headers={"host": "a"})
    assert len(gradio.asked) == 3


def test_strangers_hosts_do_not_fill_the_memory(gradio, client):
    for number in range(3 * KEPT):
        client.get("/", headers={"host": f"h{number}"})
    client.get("/", headers={"host": f"h{3 * KEPT - 1}"})
    assert len(gradio.asked) == 3 * KEPT
    client.get("/", headers={"host": "h0"})
    assert len(gradio.asked) == 3 * KEPT + 1


def test_compressed_or_not_it_is_the_same(client, gradio):
    packed = client.get("/", headers={"accept-encoding": "gzip, br"})
    plain = client.get("/", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "br"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert len(brotli.compress(packed.content)) < len(packed.content)
    assert gradio.asked[0][2] is None  # Gradio is not asked for a compressed answer


def test_failures_and_all_else_are_gradios(client, gradio):
    assert client.get("/config").text == "passed on"
    assert client.post("/").text.startswith("<html>")
    assert 'data-part="page"' not in client.post("/").text
    gradio.status = 503
    failed = client.get("/", headers={"host": "new"})
    assert failed.status_code == 503
    assert 'data-part="page"' not in failed.text
    gradio.status = 200
    assert client.get("/", headers={"host": "new"}).status_code == 200


def test_the_mend_of_gradios_answers_runs_before_gradios_scripts(client):
    html = client.get("/").text
    assert 0 < html.index("/queue/data") < html.index('type="module"', html.index("<body"))


def test_every_module_of_review_is_announced(client):
    html = client.get("/").text
    names = {f"review/{path.name}" for path in (ASSETS / "scripts/review").glob("*.js")}
    announced = {name for name in names if f'rel="modulepreload" href="./{scripts.address(name)}"' in html}
    assert announced == names - {"review/early.js"}
    assert announced | {"address.js"} == set(FIRST_SCREEN.modules)
    assert f'async src="./{scripts.address("review/main.js")}"' in html
