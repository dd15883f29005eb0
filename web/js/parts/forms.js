/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Fields, forms and dialogs that say what is wrong where it is wrong.

import {h, setAttribute, setHidden, setText} from '../base/dom.js';

// A labelled input: {el, input, value, complain(text)}.
export function field(id, label, input, hint) {
  const error = h('p', {id: `${id}-error`, class: 'field-error', hidden: true});
  const hintEl = hint ? h('p', {id: `${id}-hint`, class: 'hint'}, hint) : null;

  input.id = id;
  input.setAttribute('aria-describedby', [hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(' '));
  const self = {
    el: h('div', {class: 'field'}, h('label', {for: id}, label), input, hintEl, error),
    input,
    get value() {
      return input.value.trim();
    },
    complain(text) {
      setText(error, text);
      setHidden(error, !text);
      if (hintEl) setHidden(hintEl, Boolean(text));
      setAttribute(input, 'aria-invalid', text ? 'true' : null);
    },
  };
  input.addEventListener('input', () => self.complain(''));
  return self;
}

export function select(options, value) {
  return h('select', {}, options.map(([key, text]) => h('option', {value: key, selected: key === value}, text)));
}

// check() complains at the fields and returns whether all is well; submit() may throw, and says so above them.
export function form({fields, button, danger = false, check = () => true, submit, others = []}) {
  const alert = h('p', {class: 'notice bad', role: 'alert', hidden: true});
  const go = h('button', {type: 'submit', class: danger ? 'danger' : 'primary'}, button);
  const el = h('form', {class: 'form', novalidate: true}, alert, fields, h('div', {class: 'actions'}, go, others));

  el.addEventListener('submit', async (e) => {
    e.preventDefault();
    setHidden(alert, true);
    if (!check()) {
      el.querySelector('[aria-invalid]')?.focus();
      return;
    }
    go.disabled = true;
    try {
      await submit();
    } catch (error) {
      setHidden(alert, false);
      setText(alert, sentence(error));
    } finally {
      go.disabled = false;
    }
  });
  return el;
}

export function sentence(error) {
  if (error.status === 429)
    return error.retryAfter ? `Too many attempts. Try again in ${error.retryAfter} s.` : 'Too many attempts. Try again later.';
  return error.message;
}

// A dialog over the page; the focus goes back to where it was when it closes. Without submit it only tells, and its
// button closes it.
export function dialog({title, text, fields = [], button, danger, check, submit}) {
  const close = h('button', {type: 'button', on: {click: () => el.close()}}, 'Cancel');
  const el = h('dialog', {'aria-labelledby': 'dialog-title'},
    h('h2', {id: 'dialog-title'}, title), text ? h('p', {class: 'muted'}, text) : null,
    form({fields, button, danger, check, others: submit ? [close] : [], submit: async () => {
      await submit?.();
      el.close();
    }}));

  el.addEventListener('close', () => el.remove());
  document.body.append(el);
  el.showModal();
  return el;
}
