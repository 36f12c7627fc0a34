// Connects Review with Gradio. Review starts in the page's own HTML before Gradio has loaded, and moves into Gradio's
// component later (bye_core/ui/web/first_screen.py). The HTML and early.js define `byeFirst`: {component, asked, stops,
// bits, gradio}.

const first = document.getElementById('first');
export const element = document.getElementById('first-review');
const { byeFirst } = window;
let gradio = null; // {element, trigger, props, watch} of the component after Gradio has created it
const events = []; // events that were triggered before the session existed
const watched = [];

export const props = {
  asked: byeFirst.asked,
  stops: byeFirst.stops,
  get value() {
    return gradio ? gradio.props.value : {};
  },
};

// The bits of a sample's mark (bye_core/ui/shared/sample_queue.py): {flagged, accepted, ...}.
export const {
  flagged: FLAGGED,
  accepted: ACCEPTED,
  rejected: REJECTED,
  suspect: SUSPECT,
  disputed: DISPUTED,
  unscanned: UNSCANNED,
} = byeFirst.bits;

export const part = (name) => element.querySelector(`[data-part="${name}"]`);

export function trigger(name, data) {
  if (events.some(([waiting]) => waiting === name)) return; // one of each kind is enough
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

// Calls a server function of the component as Gradio's page does. The functions need no session.
export async function callServer(name, data) {
  const answer = await fetch(`${location.pathname.replace(/\/?$/, '/')}gradio_api/component_server/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ data, component_id: byeFirst.component, fn_name: name, session_hash: 'review' }),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer.json();
}

// Called whenever Gradio has created the component.
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

// Gradio's page is ready with another tab in front: hide the first screen until Review is opened.
new MutationObserver(() => first.remove()).observe(document.documentElement, { attributeFilter: ['data-known'] });
