"""The answer to what somebody does while Gradio's page closes its stream of answers."""

import pytest

from bye_core.ui.web import scripts
from bye_core.ui.web.first_screen import ANSWERS
from tests.e2e.conftest import NOWHERE, QUIET

# Holds back the message that closes the stream, as a busy browser does. `held` lets it through.
HOLD = """
window.hold = false;
const ask = window.fetch;
window.fetch = async (request, init) => {
  const response = await ask(request, init);
  if (!String(request.url ?? request).includes('/queue/data')) return response;
  const late = new TransformStream({
    async transform(text, out) {
      const at = text.indexOf('data: {"msg":"close_stream"');
      if (!window.hold || at < 0) return out.enqueue(text);
      out.enqueue(text.slice(0, at));
      await new Promise((go) => { window.held = go; });
      out.enqueue(text.slice(at));
    },
  });
  const text = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(late);
  return new Response(text.pipeThrough(new TextEncoderStream()), response);
};
"""

# The script with a server that accepts a request while the stream closes, and then does not open the stream again.
REFUSED = """async ([script, end]) => {
  let stream, requests = 0, streams = 0;
  window.fetch = async (request) => {
    if (String(request.url ?? request).includes('/queue/join')) return Response.json({ event_id: `id${++requests}` });
    if (streams++) return new Response('busy', { status: 503 });
    return new Response(new ReadableStream({ start(out) { stream = out; } }));
  };
  new Function(script)();
  const say = (message) => stream.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(message)}${end}`));
  await fetch('http://app/queue/join');
  const answers = await fetch('http://app/queue/data');
  say({ msg: 'process_completed', event_id: 'id1' });
  await fetch('http://app/queue/join');
  say({ msg: 'close_stream' });
  stream.close();
  return [await answers.text(), requests, streams];
}"""


# The script with a server that sends three answers at once; the first two make something visible. Between the
# frames that it draws for the second, the page adds something once.
AT_ONCE = """async ([script, frames]) => {
  const later = [];
  window.requestAnimationFrame = (draw) => later.push(draw);
  const answer = (id, values) =>
    `data: ${JSON.stringify({ msg: 'process_completed', event_id: id, output: { data: values } })}\\n\\n`;
  window.fetch = async () => new Response(new Blob([
    answer('id1', [{ visible: true }]), answer('id2', [{ visible: true }]), answer('id3', ['text']),
  ]).stream());
  new Function(script)();
  const reader = (await fetch('http://app/queue/data')).body.getReader(), text = new TextDecoder();
  const next = async () => /id\\d/.exec(text.decode((await reader.read()).value))[0];
  const soon = (promise) => Promise.race([promise, new Promise((done) => setTimeout(() => done('waits'), 100))]);
  const draw = () => later.splice(0).forEach((one) => one());
  const seen = [await next()];
  for (let answers = 0; answers < 2; answers += 1) {
    const waiting = next();
    for (let frame = 0; frame < frames[answers]; frame += 1) {
      seen.push(await soon(waiting));
      if (answers && frame === 1) document.body.append('added');
      await undefined;
      draw();
    }
    seen.push(await waiting);
  }
  return seen;
}"""


def test_an_answer_waits_until_the_page_has_added_what_the_one_before_makes_visible(open_page):
    """Gradio gives fields that become visible their values some frames later, even over those of a newer answer."""
    script = (scripts.FOLDER / ANSWERS).read_text("utf-8")
    seen = open_page(NOWHERE).evaluate(AT_ONCE, [script, [2, 3]])
    assert seen == ["id1", "waits", "waits", "id2", "waits", "waits", "waits", "id3"]
    assert open_page(NOWHERE).evaluate(AT_ONCE, [script, [0, 0]]) == ["id1", "id2", "id3"], (
        "in a page that draws nothing"
    )


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_a_stream_that_cannot_be_opened_again_is_closed_for_the_page(open_page, end):
    """The page then opens it for its next request; else it would wait for answers in a stream that has ended."""
    script = (scripts.FOLDER / ANSWERS).read_text("utf-8")
    text, *counts = open_page(NOWHERE).evaluate(REFUSED, [script, end])
    assert text == f'data: {{"msg":"process_completed","event_id":"id1"}}{end}data: {{"msg":"close_stream"}}{end}'
    assert counts == [2, 2]


def test_a_click_while_the_stream_of_answers_closes_is_answered(made, serve, open_page, expect):
    made()
    page = open_page(NOWHERE)
    page.add_init_script(HOLD)
    page.goto(serve())
    page.wait_for_selector("html[data-known]")
    page.wait_for_selector("#header .bye-header")
    page.evaluate("window.hold = true")
    page.locator('#tabs [data-tab-id="export"]:visible').click()
    page.wait_for_function("() => window.held !== undefined")
    with page.expect_response("**/queue/join*"):
        page.locator("#header .bye-help").click()
    page.evaluate(QUIET)
    page.evaluate("window.hold = false; window.held()")
    expect(page.locator('[data-tab-id="method"]:visible')).to_have_attribute("aria-selected", "true")
