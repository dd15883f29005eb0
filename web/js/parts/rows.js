/* SPDX-License-Identifier: LGPL-2.1-or-later */
// What the rows of the large tables share.

import {foreign, h, setHidden} from '../base/dom.js';

export function setLabels(el, labels) {
  const text = labels.join('\n');

  setHidden(el, !labels.length);
  if (el.dataset.text === text) return;
  el.dataset.text = text;
  el.replaceChildren(...labels.map((label) => h('li', {}, foreign('bdi', {}, label))));
}

// A click anywhere in the row opens it, yet its text can be selected and only its link is a tab stop.
export function openOnClick(row, link, router) {
  row.addEventListener('click', (e) => {
    if (e.target.closest('a, button') || !getSelection().isCollapsed) return;
    if (e.ctrlKey || e.metaKey || e.shiftKey) open(link.href);
    else router.go(link.pathname);
  });
}
