"""The answer to what somebody does while Gradio's page closes its stream of answers."""

from tests.e2e.conftest import FRAMES, NOWHERE

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
    page.evaluate(FRAMES)
    page.evaluate("window.hold = false; window.held()")
    expect(page.locator('[data-tab-id="method"]:visible')).to_have_attribute("aria-selected", "true")
