// Review's place in the page. Review is on the screen before Gradio is: it starts in the page's own HTML, and moves into
// Gradio's component once that is there (bye_core/ui/web/first_screen.py). The HTML holds `byeFirst`, which early.js
// completes: {component, asked, stops, bits, gradio}.

const first = document.getElementById('first');
export const element = document.getElementById('first-review');
const { byeFirst } = window;
let gradio = null; // {element, trigger, props, watch} of the component, once it is there
const events = []; // triggered before there was a session to hear of them
const watched = [];

export const props = {
  asked: byeFirst.asked,
  stops: byeFirst.stops,
  get value() {
    return gradio ? gradio.props.value : {};
  },
};

// The bits of a sample's mark, as Python writes them: {flagged, accepted, rejected, unscanned}.
export const { flagged: FLAGGED, accepted: ACCEPTED, rejected: REJECTED, unscanned: UNSCANNED } = byeFirst.bits;

export const part = (name) => element.querySelector(`[data-part="${name}"]`);

export function trigger(name, data) {
  events.push([name, data]);
  passEvents();
}

function passEvents() {
  if (gradio && gradio.props.value?.run !== undefined) for (const event of events.splice(0)) gradio.trigger(...event);
}

export function watch(names, callback) {
  watched.push([names, callback]);
  if (gradio) gradio.watch(names, callback);
}

// Calls a server function of the component as Gradio's own page does; none of them needs the session.
export async function callServer(name, data) {
  const answer = await fetch(`${location.pathname.replace(/\/?$/, '/')}gradio_api/component_server/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ data, component_id: byeFirst.component, fn_name: name, session_hash: 'review' }),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer.json();
}

// Called when Gradio has made the component, and again whenever it makes the component again.
function moveInto(component) {
  gradio = component;
  component.element.replaceChildren(element);
  first.remove();
  for (const [names, callback] of watched) {
    component.watch(names, callback);
    callback();
  }
  component.watch('value', passEvents);
  passEvents();
}

window.byeReview = moveInto;
if (byeFirst.gradio) moveInto(byeFirst.gradio);

// Gradio's page is there, with another tab in front: Review waits for its own.
new MutationObserver(() => first.remove()).observe(document.documentElement, { attributeFilter: ['data-known'] });
