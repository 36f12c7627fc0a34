// Review is on the screen before Gradio is: it starts in the page's own HTML, and its page moves into Gradio's component
// once that is there (bye_core/ui/web/first_screen.py). `byeFirst` = {component, asked, stops} stands in the page.

const first = document.getElementById('first');
const element = document.getElementById('first-review');
let gradio = null; // {element, trigger, props, watch} of the component, once it is there
const events = []; // triggered before there was a session to hear of them
const watched = [];

const props = {
  asked: byeFirst.asked,
  stops: byeFirst.stops,
  get value() {
    return gradio ? gradio.props.value : {};
  },
};

function trigger(name, facts) {
  events.push([name, facts]);
  pass();
}

function pass() {
  if (gradio && gradio.props.value?.run !== undefined) for (const event of events.splice(0)) gradio.trigger(...event);
}

function watch(names, act) {
  watched.push([names, act]);
  if (gradio) gradio.watch(names, act);
}

// The functions of Python, asked as Gradio's own page asks them; none of them looks at the session.
const server = new Proxy({}, {
  get: (_, name) => async (data) => {
    const answer = await fetch(`${location.pathname.replace(/\/?$/, '/')}gradio_api/component_server/`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ data, component_id: byeFirst.component, fn_name: name, session_hash: 'review' }),
    });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return answer.json();
  },
});

// Called when Gradio has made the component, and again whenever it makes it anew.
window.byeReview = (component) => {
  gradio = component;
  component.element.replaceChildren(element);
  first.remove();
  for (const [names, act] of watched) {
    component.watch(names, act);
    act();
  }
  component.watch('value', pass);
  pass();
};

// Gradio's page is there, with another tab in front: Review waits for its own.
new MutationObserver(() => first.remove()).observe(document.documentElement, { attributeFilter: ['data-known'] });

// Dark or light as Gradio will decide.
const theme = new URL(location).searchParams.get('__theme');
const dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
document.body.classList.toggle('dark', dark);
