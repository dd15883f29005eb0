/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Small pieces for several pages: loading, an error, not found.

import {h} from '../base/dom.js';

// Appears only when loading takes a while (see the style sheet).
export function loading() {
  return h('p', {class: 'loading', role: 'status'}, 'Loading …');
}

export function trouble(text) {
  return h('p', {class: 'notice bad', role: 'alert'}, text);
}

export function notFound(title, text) {
  return h('section', {class: 'page narrow'},
           h('h1', {tabindex: '-1'}, title),
           h('p', {}, text),
           h('p', {}, h('a', {href: '/'}, 'All servers')));
}
