/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Building and updating the page. Text is only ever added as text nodes; there is deliberately no way to pass markup.

const SVG = 'http://www.w3.org/2000/svg';
const PORTION = 80; // rows

// h('a', {class: 'x', href: '/', on: {click: f}}, 'text', node, null)
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(el, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) el.addEventListener(event, listener);
    } else if (name === 'data') {
      Object.assign(el.dataset, value);
    } else {
      el.setAttribute(name, value === true ? '' : value);
    }
  }
  el.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

export function setText(el, text) {
  const value = text ?? '';
  if (el.textContent !== value) el.textContent = value;
}

export function setAttribute(el, name, value) {
  if (value === null || value === undefined || value === false) el.removeAttribute(name);
  else if (el.getAttribute(name) !== String(value)) el.setAttribute(name, value);
}

export function setHidden(el, hidden) {
  if (el.hidden !== hidden) el.hidden = hidden;
}

// Text from elsewhere: isolated, so that its direction does not affect its surroundings.
export function foreign(tag, props, text) {
  return h(tag, {dir: 'auto', ...props}, text ?? '');
}

// Keeps the children of parent equal to a list, moving as few as possible: a row that stays in place keeps its focus
// and selection. create(item) returns {el, update(item)}. The first rows of a long list are built immediately and the
// others follow in portions, so that the most important ones are painted first.
export class KeyedList {
  #parent;
  #create;
  #rows = new Map();
  #rest = 0; // the timer that builds the missing rows

  constructor(parent, create) {
    this.#parent = parent;
    this.#create = create;
  }

  sync(items, keyOf) {
    const seen = new Set();
    let next = this.#parent.firstElementChild;
    let budget = PORTION;

    clearTimeout(this.#rest);
    for (const item of items) {
      const key = keyOf(item);
      let row = this.#rows.get(key);

      seen.add(key);
      if (!row) {
        if (--budget < 0) continue;
        row = this.#create(item);
        this.#rows.set(key, row);
      }
      row.update(item);
      if (row.el === next) next = next.nextElementSibling;
      else place(this.#parent, row.el, next);
    }
    for (const [key, row] of this.#rows) {
      if (seen.has(key)) continue;
      row.el.remove();
      this.#rows.delete(key);
    }
    if (budget < 0) this.#rest = setTimeout(() => this.#parent.isConnected && this.sync(items, keyOf));
  }
}

function place(parent, el, before) {
  if (el.parentNode === parent && parent.moveBefore) {
    parent.moveBefore(el, before); // keeps focus and running animations
    return;
  }
  const focused = el.contains(document.activeElement) ? document.activeElement : null;
  parent.insertBefore(el, before);
  focused?.focus({preventScroll: true});
}

const calm = matchMedia('(prefers-reduced-motion: reduce)');

// Highlights a change of an element for a moment.
export function flash(el) {
  if (!calm.matches)
    el.animate([{backgroundColor: 'color-mix(in oklab, var(--accent) 10%, transparent)', offset: 0}], {duration: 1600, easing: 'ease-out'});
}

export async function copyText(text, source) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not allowed or not in focus: select it instead.
    }
  }
  getSelection().selectAllChildren(source);
  return false;
}
