/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The active silences.

import {foreign, h, setAttribute, setText} from '../base/dom.js';
import {time} from '../base/time.js';
import {AS_TYPED, act, field} from '../parts/forms.js';
import {plainTable, section} from '../parts/section.js';
import {askSilence} from '../dialogs/silence.js';

export function silencesView({api, store}) {
  let named = []; // elements that name a server, whose name may arrive or change later
  const name = () => {
    for (const {silence, what, end} of named) {
      setText(what, targetOf(silence, store));
      setAttribute(end, 'aria-label', `End the silence for ${targetOf(silence, store)}`);
    }
  };
  const list = section('silences-list', 'Active', {
    read: () => api.silences.list(),
    show: (silences) => {
      named = silences.map((silence) => ({silence, what: foreign('bdi'), end: act('End', async () => {
        await api.silences.end(silence.id);
        list.load();
      })}));
      name();
      return table();
    },
  });
  const table = () => (named.length ? plainTable('Silences', ['What', 'Reason', 'Ends', ''], named.map(({silence: s, what, end}) => [
    what, foreign('bdi', {}, s.reason), time(s.ends_at, 'When you end it', 'due'), end,
  ])) : h('p', {class: 'muted'}, 'Nothing is silenced. Silence a server or a service on its page, or all servers with a label below.'));
  const label = field('silence-label', 'Label', h('input', {...AS_TYPED, list: 'known-labels'}));
  const known = h('datalist', {id: 'known-labels'});

  return {
    title: () => 'Silences',
    update() {
      name();
      const labels = new Set([...store.servers.values()].flatMap((s) => s.labels));
      if (known.childElementCount !== labels.size) known.replaceChildren(...[...labels].sort().map((l) => h('option', {value: l})));
    },
    el: h('section', {class: 'page narrow'}, h('h1', {tabindex: '-1'}, 'Silences'), list.el,
          h('section', {class: 'part', 'aria-labelledby': 'by-label'}, h('h2', {id: 'by-label'}, 'All servers with a label'),
            h('form', {class: 'form', novalidate: true, on: {submit: (e) => {
              e.preventDefault();
              label.complain(label.value ? '' : 'Enter a label.');
              if (label.value) askSilence(api, `servers with “${label.value}”`, {label: label.value}, () => list.load());
            }}}, label.el, known, h('div', {class: 'actions'}, h('button', {type: 'submit'}, 'Silence …'))))),
  };
}

function targetOf({server_id: id, service, label}, store) {
  const parts = [];
  if (service) parts.push(service);
  if (id) parts.push(`${service ? 'on ' : ''}${store.servers.get(id)?.name ?? id}`);
  if (label) parts.push(`${parts.length ? 'on ' : ''}servers with “${label}”`);
  return parts.join(' ');
}
