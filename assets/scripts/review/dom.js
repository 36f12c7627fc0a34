// Builds elements. Texts of a data set may be hostile: they are inserted only with `h` or textContent, never as HTML.

export function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function button(label, attributes, onclick) {
  return h('button', { type: 'button', class: 'rv-small', ...attributes, onclick }, label);
}

export function percent(share, digits = 1) {
  if (share > 0 && share < 0.001) return '< 0.1%';
  return `${(100 * share).toFixed(digits)}%`;
}

export const count = (number, noun) => `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;

export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// A cache of the latest results; drops the least recently used entry first.
export class Recent {
  constructor(limit) {
    this.limit = limit;
    this.entries = new Map();
  }

  get(key) {
    const found = this.entries.get(key);
    if (found !== undefined) {
      this.entries.delete(key);
      this.entries.set(key, found);
    }
    return found;
  }

  set(key, value) {
    this.entries.delete(key);
    this.entries.set(key, value);
    if (this.entries.size > this.limit) this.entries.delete(this.entries.keys().next().value);
    return value;
  }

  delete(key) {
    this.entries.delete(key);
  }

  clear() {
    this.entries.clear();
  }
}

// A browser in private mode may refuse to store values. The page also works without them.
export function storedValue(key, fallback) {
  try {
    return localStorage.getItem(`bye-${key}`) ?? fallback;
  } catch {
    return fallback;
  }
}

export function storeValue(key, value) {
  try {
    localStorage.setItem(`bye-${key}`, value);
  } catch {
    // Without a stored value, the page uses the default next time.
  }
}
