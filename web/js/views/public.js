/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The public page of one server: anyone who has its address can read it, without an account.

import {foreign, h} from '../base/dom.js';
import {STATUSES, WORDS, compareServices, linkMark, statusMark} from '../base/status.js';
import {time} from '../base/time.js';
import {guest} from '../data/api.js';
import {loading, notFound, trouble} from '../parts/notice.js';

const EVERY_MS = 30000;

// The whole server at a glance.
function verdict({state, worst_status: worst, counts}) {
  const status = statusMark('Nothing reported yet');
  const sum = STATUSES.filter((s) => counts[s]).map((s) => `${counts[s]} ${WORDS[s]}`).join(', ');

  status.set(worst);
  return h('div', {class: 'verdict', data: {status: worst ?? 'none'}}, h('p', {class: 'facts'}, status.el, worst === 'OK' ? 'All is well' : sum),
           state === 'offline' ? h('p', {}, 'The server is offline. Showing its last report.') : null);
}

export function publicView(app, {token}) {
  const el = h('section', {class: 'page narrow'}, loading());
  let name = 'Status';
  let timer = 0;

  async function read() {
    try {
      const data = await guest.publicPage(token);
      const conn = linkMark();
      name = data.name;
      conn.set(data.state);
      el.replaceChildren(
        h('div', {class: 'page-head'}, foreign('h1', {tabindex: '-1'}, data.name), h('p', {class: 'facts'}, conn.el)),
        verdict(data),
        h('ul', {class: 'public', role: 'list'}, data.services.map((s) => ({...s, name: s.title})).sort(compareServices).map((s) => {
          const status = statusMark();
          status.set(s.status);
          return h('li', {data: {status: s.status ?? 'none'}}, foreign('span', {class: 'public-name'}, s.title), status.el, time(s.changed_at, '', 'since'));
        })));
      document.title = `${name} – SSI`;
    } catch (e) {
      if (e.status === 404) return el.replaceChildren(...notFound('Page not found', 'Its owner may have closed it.').childNodes);
      if (el.firstChild?.className !== 'notice bad') el.prepend(trouble(e.message));
    }
    timer = setTimeout(read, EVERY_MS);
  }

  read();
  return {el, title: () => name, destroy: () => clearTimeout(timer)};
}
