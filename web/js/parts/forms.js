/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Fields, forms and buttons that show an error where it occurred.

import {h, setAttribute, setHidden, setText} from '../base/dom.js';

export const PASSWORD_MIN = 12;
// For an input whose value the browser must not complete or correct.
export const AS_TYPED = {autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false'};

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

// A field for a password, with a button that shows it.
export function passwordField(id, label, attributes, hint) {
  const self = field(id, label, h('input', {type: 'password', ...attributes}), hint);
  const reveal = h('button', {type: 'button', class: 'quiet reveal', 'aria-pressed': 'false', 'aria-label': 'Show password'}, 'Show');
  const wrapper = h('div', {class: 'with-button'});

  self.input.replaceWith(wrapper);
  wrapper.append(self.input, reveal);
  reveal.addEventListener('click', () => {
    const shown = self.input.type === 'password';
    self.input.type = shown ? 'text' : 'password';
    reveal.setAttribute('aria-pressed', String(shown));
    setText(reveal, shown ? 'Hide' : 'Show');
  });
  return self;
}

export function select(options, value) {
  return h('select', {}, options.map(([key, text]) => h('option', {value: key, selected: key === value}, text)));
}

// check() complains at the fields and returns whether they are valid; an error that submit() throws is shown above them.
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
      // While it was disabled it could not keep the focus.
      if (!alert.hidden && !el.contains(document.activeElement)) go.focus();
    }
  });
  return el;
}

export function sentence(error) {
  if (error.status === 429)
    return error.retryAfter ? `Too many attempts. Try again in ${error.retryAfter} s.` : 'Too many attempts. Try again later.';
  return error.message;
}

// A button that shows an error of f() beside itself.
export function act(text, f, label) {
  let complaint = null;
  const button = h('button', {type: 'button', class: 'small', 'aria-label': label, on: {click: async () => {
    button.disabled = true;
    complaint?.remove();
    try {
      await f();
    } catch (e) {
      complaint = h('span', {class: 'field-error', role: 'alert'}, ` ${sentence(e)}`);
      button.after(complaint);
    }
    button.disabled = false;
  }}}, text);
  return button;
}

export function splitLabels(text) {
  return [...new Set(text.split(/[\s,]+/).filter(Boolean))];
}

// What is wrong with a new password; '' when nothing is.
export function passwordComplaint(value) {
  return [...value.replace(/ +/g, ' ')].length < PASSWORD_MIN ? `Too short: at least ${PASSWORD_MIN} characters.` : '';
}
