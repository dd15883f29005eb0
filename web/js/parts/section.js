/* SPDX-License-Identifier: LGPL-2.1-or-later */
// A section of a page that is loaded when it is shown, and again after a change.

import {h} from '../base/dom.js';
import {loading, trouble} from './notice.js';

// read() loads the data, show(data) returns its nodes.
export function section(id, title, {about, read, show}) {
  const body = h('div', {}, loading());
  const el = h('section', {class: 'part', 'aria-labelledby': id}, h('h2', {id}, title), about ? h('p', {class: 'muted'}, about) : null, body);
  const self = {
    el,
    async load() {
      try {
        body.replaceChildren(...[show(await read())].flat());
      } catch (e) {
        if (e.status !== 401) body.replaceChildren(trouble(e.message));
      }
    },
  };
  self.load();
  return self;
}

// rows: arrays of cells; the first cell is the row's header.
export function plainTable(label, columns, rows) {
  return h('table', {class: 'plain', 'aria-label': label},
           h('thead', {}, h('tr', {}, columns.map((c) => (c ? h('th', {scope: 'col'}, c) : h('td', {}))))),
           h('tbody', {}, rows.map((cells) => h('tr', {}, cells.map((cell, i) => (i ? h('td', {data: {label: columns[i]}}, cell)
             : h('th', {scope: 'row'}, cell)))))));
}
