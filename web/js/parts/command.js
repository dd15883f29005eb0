/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Text to copy to another machine.

import {copyText, h, setText} from '../base/dom.js';

// A box with the text of code and a button that copies it. label names the box to a screen reader.
export function copyBox(label, code) {
  const copy = h('button', {type: 'button', class: 'copy', on: {click: async () => {
    setText(copy, await copyText(code.textContent, code) ? 'Copied' : 'Selected');
  }}}, 'Copy');

  return h('div', {class: 'command'}, h('pre', {tabindex: '0', role: 'region', 'aria-label': label}, code), copy);
}

// Whether the address of this page works on this machine alone.
export function isLocal() {
  return /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);
}
