"""The limited process: it renders as transformers does, and no request harms the process that asks."""

import os
import signal
import threading

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from bye_core.models import bounds
from bye_core.models.sandbox import Sandbox, SandboxError, SandboxLimit

MESSAGES = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is 'it' <b> é ?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "red"}]},
]
# What chat templates on the hub use.
TEMPLATES = {
    "blocks": "{% for m in messages %}\n    {% if loop.first %}{{ bos_token }}{% endif %}\n"
    "{{ m.role }}: {{ m['content'] }}\n{% endfor %}",
    "namespace": "{% set ns = namespace(n=0, found=false) %}"
    "{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
    "loop controls": "{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}{% continue %}x{% endfor %}y",
    "json": "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}{{ messages[1] | tojson(sort_keys=true) }}",
    "dict": "{% set d = dict(a=1) %}{{ d.a }}{{ dict.fromkeys(['x'], 2) }}{{ messages[0].items() | list }}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "macro": "{%- macro part(p) -%}{{ p.text if p.type == 'text' else '<image>' }}{%- endmacro -%}"
    "{%- for p in messages[1].content -%}{{ part(p) }}{%- endfor -%}",
    "prompt": "{{ tools is none }}{{ documents is none }}{% if add_generation_prompt %}ASSISTANT:{% endif %}",
    "text": "{{ messages[0].content.split(' ')[0] | upper | trim }}{{ '%s-%s' | format(1, 2) }}{{ undefined_name }}",
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox():
    own = Sandbox()
    yield own
    own.close()


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_renders_as_in_transformers(sandbox, name):
    values = {"add_generation_prompt": True, "bos_token": "<s>"}
    expected, _ = render_jinja_template([MESSAGES], chat_template=TEMPLATES[name], **values)
    given = {"messages": MESSAGES, "tools": None, "documents": None, **values}
    assert sandbox.render(TEMPLATES[name], given) == expected[0]


@pytest.mark.parametrize("expression", ["namespace(_x=1)", "namespace(**{'__class__': 1})", "raise_exception('no')"])
def test_errors_of_a_template_are_reported(sandbox, expression):
    with pytest.raises(SandboxError):
        sandbox.render("{{ " + expression + " }}", {})


def test_the_date_of_today_is_known(sandbox):
    assert len(sandbox.render("{{ strftime_now('%Y-%m-%d') }}", {})) == 10


def test_a_limit_ends_the_child_and_the_next_request_starts_another(sandbox, monkeypatch):
    assert sandbox.render("a", {}) == "a"
    starts = sandbox.starts
    monkeypatch.setattr(bounds, "TEMPLATE_SECONDS", 0.2)
    with pytest.raises(SandboxLimit, match=r"more than 0\.2 seconds"):
        sandbox.render("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", {})
    monkeypatch.undo()
    assert sandbox.render("b", {}) == "b"
    assert sandbox.starts == starts + 1


def test_memory_is_limited(sandbox):
    for text in ("{{ 'x' * 10**10 }}", "{{ 'x' * (2 * 1024**2) }}"):
        with pytest.raises(SandboxLimit, match=r"memory|characters"):
            sandbox.render(text, {})


def test_a_child_that_is_killed_is_reported(sandbox):
    sandbox.render("a", {})
    child = sandbox._child
    threading.Timer(0.05, os.kill, (child.pid, signal.SIGKILL)).start()
    with pytest.raises(SandboxLimit):
        sandbox.render("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", {})
    assert sandbox.render("a", {}) == "a"


def test_the_clock_ends_a_child_that_does_not_answer():
    own = Sandbox()
    own.render("a", {})  # the child starts, which takes longer on a busy machine
    own._seconds = 0.5
    os.kill(own._child.pid, signal.SIGSTOP)
    with pytest.raises(SandboxLimit, match="more than"):
        own.render("a", {})
    own.close()


def test_the_child_gets_no_secrets(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    own = Sandbox()
    own.render("a", {})
    with open(f"/proc/{own._child.pid}/environ", "rb") as file:
        assert b"secret" not in file.read()
    own.close()


def test_threads_share_the_child(sandbox):
    results = {}

    def ask(number):
        results[number] = sandbox.render("{{ n }}", {"n": number})

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: str(number) for number in range(8)}


def test_a_forked_process_starts_its_own_child(sandbox):
    sandbox.render("a", {})
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        text = sandbox.render("child", {})
        sandbox.close()
        os.write(writer, text.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 99) == b"child"
    assert sandbox.render("parent", {}) == "parent"


def test_patterns_match_as_a_whole(sandbox):
    assert sandbox.match([r".*\.q_proj", "b"], ["a.q_proj", "b", "a.q_proj.x"]) == [[0], [1]]
