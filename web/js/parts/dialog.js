/* SPDX-License-Identifier: LGPL-2.1-or-later */
// A dialog over the page.

import {h} from '../base/dom.js';
import {form} from './forms.js';

let count = 0; // one may open over another, and each needs a name of its own

// The focus returns to where it was when the dialog closes. Without submit the dialog only informs, and its button closes it.
export function dialog({title, text, fields = [], button, danger, check, submit}) {
  const close = h('button', {type: 'button', on: {click: () => el.close()}}, 'Cancel');
  const id = `dialog-title-${++count}`;
  const el = h('dialog', {'aria-labelledby': id},
    h('h2', {id}, title), text ? h('p', {class: 'muted'}, text) : null,
    form({fields, button, danger, check, others: submit ? [close] : [], submit: async () => {
      await submit?.();
      el.close();
    }}));

  el.addEventListener('close', () => el.remove());
  document.body.append(el);
  el.showModal();
  return el;
}
