// Runs in the page before any module is loaded. This file is not a module.

// Gradio's page closes its stream of answers when the server has answered all requests that it knew of. The answer to a
// request that the page sends in this moment would wait in the server, unseen, until the next request. So the closing is
// held back until the requests that are on their way are accepted; if one of them is not answered yet, reading goes on.
//
// Gradio's page adds the components that an answer makes visible some frames later, and gives them their values one frame
// after that. It would undo with them what the next answer has set meanwhile. So an answer waits until the page adds
// nothing more for the one before it.
(() => {
  const ask = window.fetch.bind(window);
  const FORGOTTEN = 30_000; // ms: the server never answers a request that was cancelled
  const accepted = new Map(); // id of a request without an answer -> when the server accepted it
  const early = new Set(); // ids of requests that were answered before the page knew their id
  const sent = new Set();
  const answered = /^data: \{"msg":"process_completed","event_id":"([^"]+)"/;
  const withValues = /^data: \{"msg":"process_(completed|generating)"/;
  const showsMore = /"visible"(:|\],)true/; // in an update, and in the difference between two
  const QUIET_FRAMES = 2;
  const PATIENCE = 1000; // ms: a page in the background draws no frames, and another may never be quiet
  let drawn = Promise.resolve();

  async function accept(request, init) {
    const response = await ask(request, init);
    const { event_id: id } = await response
      .clone()
      .json()
      .catch(() => ({}));
    if (id && !early.delete(id)) accepted.set(id, performance.now());
    return response;
  }

  function messages(response) {
    let rest = '';
    const whole = new TransformStream({
      transform(text, out) {
        rest += text;
        if (!text.includes('\n')) return; // a part of a long message
        const parts = rest.match(/.*?\n\r?\n/gs) ?? [];
        rest = rest.slice(parts.join('').length);
        for (const part of parts) out.enqueue(part);
      },
      flush: (out) => out.enqueue(rest),
    });
    return response.body.pipeThrough(new TextDecoderStream()).pipeThrough(whole).getReader();
  }

  async function isWaiting() {
    await Promise.allSettled([...sent]);
    for (const [id, since] of accepted) if (performance.now() - since > FORGOTTEN) accepted.delete(id);
    return accepted.size > 0;
  }

  function pageQuiet() {
    return new Promise((done) => {
      let quiet = 0;
      const additions = new MutationObserver(() => (quiet = 0));
      additions.observe(document, { childList: true, subtree: true });
      const end = setTimeout(finish, PATIENCE);
      const nextFrame = () => requestAnimationFrame(() => (++quiet < QUIET_FRAMES ? nextFrame() : setTimeout(finish)));
      nextFrame();

      function finish() {
        additions.disconnect();
        clearTimeout(end);
        done();
      }
    });
  }

  async function follow(request, init) {
    const again = new Request(request, init);
    const response = await ask(again.clone());
    if (!response.ok || !response.body) return response;
    const encoder = new TextEncoder();
    let reader = messages(response);
    const body = new ReadableStream({
      async pull(out) {
        const { done, value } = await reader.read();
        if (done) return out.close();
        const id = answered.exec(value.slice(0, 200))?.[1];
        if (id && !accepted.delete(id)) early.add(id);
        if (value.startsWith('data: {"msg":"close_stream"') && (await isWaiting())) {
          const next = await ask(again.clone()).catch(() => undefined);
          if (next?.ok) {
            reader = messages(next);
            return this.pull(out);
          } // else the page learns that the stream is closed, and opens it for its next request
        }
        if (withValues.test(value.slice(0, 200))) {
          await drawn;
          if (showsMore.test(value)) drawn = pageQuiet();
        }
        out.enqueue(encoder.encode(value));
      },
      cancel: (reason) => reader.cancel(reason),
    });
    return new Response(body, response);
  }

  window.fetch = (request, init) => {
    const address = String(request?.url ?? request);
    if (address.includes('/queue/data')) return follow(request, init);
    if (!address.includes('/queue/join')) return ask(request, init);
    const joining = accept(request, init);
    sent.add(joining);
    joining.finally(() => sent.delete(joining)).catch(() => {});
    return joining;
  };
})();
