/* SPDX-License-Identifier: LGPL-2.1-or-later */
// What the pages for administrators share: their frame, and lists that come in pages.

import {h, setHidden} from '../base/dom.js';
import {act} from './forms.js';
import {loading, trouble} from './notice.js';
import {plainTable} from './section.js';

const PAGES = [['/admin', 'Overview'], ['/admin/accounts', 'Accounts'], ['/admin/sign-up', 'Sign-up'], ['/admin/audit', 'Audit log'], ['/admin/announcements', 'Announcements']];

// One of these pages, with the links to the others.
export function adminPage(path, title, ...parts) {
  return h('section', {class: 'page'},
           h('h1', {tabindex: '-1'}, title),
           h('nav', {class: 'tabs', 'aria-label': 'Administration'}, PAGES.map(([to, word]) => (
             h('a', {href: to, 'aria-current': to === path ? 'page' : null}, word)))),
           parts);
}

// A table that grows by pages. read(path) gives {items, next}; row(item) the cells of a row. load() reads the first page again.
export function pagedTable({label, columns, read, row, empty}) {
  const body = h('div', {}, loading());
  let asked = 0;

  async function load() {
    const mine = ++asked; // of several searches under way, the last one counts

    try {
      const page = await read(null);
      if (mine === asked) show(page);
    } catch (e) {
      if (mine === asked && e.status !== 401) body.replaceChildren(trouble(e.message));
    }
  }

  function show({items, next}) {
    if (!items.length) return body.replaceChildren(h('p', {class: 'muted'}, empty()));
    const table = plainTable(label, columns, items.map(row));
    const more = act('Show more', async () => {
      const page = await read(next);
      table.tBodies[0].append(...plainTable(label, columns, page.items.map(row)).tBodies[0].rows);
      ({next} = page);
      setHidden(end, !next);
    });
    const end = h('p', {class: 'actions', hidden: !next}, more);
    body.replaceChildren(table, end);
  }

  load();
  return {el: body, load};
}

// A form whose fields filter the list below it; changed(values) is called a moment after a change.
export function filterForm(fields, changed) {
  let timer = 0;
  const values = () => Object.fromEntries(Object.entries(fields).map(([name, {input}]) => [name, input.value.trim()]));
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => changed(values()), 250);
  };

  return h('form', {class: 'filter labelled', role: 'search', novalidate: true,
                    on: {input: soon, submit: (e) => {
                      e.preventDefault();
                      clearTimeout(timer);
                      changed(values());
                    }}}, Object.values(fields).map((f) => f.el));
}
