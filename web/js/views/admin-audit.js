/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The audit log of all accounts, for administrators.

import {foreign, h} from '../base/dom.js';
import {time} from '../base/time.js';
import {adminPage, filterForm, pagedTable} from '../parts/admin.js';
import {AS_TYPED, act, field, select} from '../parts/forms.js';

const OUTCOMES = [['', 'All'], ['done', 'Done'], ['refused', 'Refused'], ['throttled', 'Throttled'], ['failed', 'Failed']];
const DAY_MS = 24 * 60 * 60 * 1000;

// The viewer's midnight that begins the day, or the one that ends it.
function midnight(day, later = 0) {
  if (!day) return '';
  const begin = new Date(`${day}T00:00:00`);
  return new Date(later ? new Date(begin.getTime() + later).setHours(0, 0, 0, 0) : begin).toISOString();
}

export function adminAuditView({api}) {
  let filter = {};
  const list = pagedTable({
    label: 'Audit log', columns: ['When', 'What', 'Account', 'By', 'Object'],
    read: (path) => api.admin.audit(filter, path),
    row: (e) => [
      time(e.at, '–', 'at'),
      [e.event, e.outcome === 'done' ? null : h('span', {class: 'tag'}, e.outcome), e.count > 1 ? h('span', {class: 'tag'}, `${e.count} times`) : null],
      foreign('bdi', {}, e.email ?? e.account ?? '–'),
      [foreign('bdi', {}, e.actor === null ? 'A stranger' : e.actor === e.account ? 'The account' : e.actor),
       h('p', {class: 'hint'}, [e.address, e.method === e.address ? null : e.method].filter(Boolean).join(', '))],
      foreign('bdi', {}, [e.object, e.name && `“${e.name}”`].filter(Boolean).join(' ') || '–'),
    ],
    empty: () => (Object.values(filter).some(Boolean) ? 'No entry matches.' : 'The log is empty.'),
  });
  const text = (id, label, hint) => field(id, label, h('input', {type: 'search', ...AS_TYPED, maxlength: '64', placeholder: hint}));
  const day = (id, label) => field(id, label, h('input', {type: 'date'}));
  const fields = {account: text('audit-account', 'Account', 'Address, ID or “uid 0”'), event: text('audit-event', 'Event', 'login, account.made …'),
                  outcome: field('audit-outcome', 'Outcome', select(OUTCOMES, '')), from: day('audit-from', 'From'), to: day('audit-to', 'To')};
  const save = (format) => act(`Download as ${format.toUpperCase()}`, async () => {
    const link = h('a', {href: URL.createObjectURL(await api.admin.exportAudit(filter, format)), download: `audit.${format}`});
    link.click();
    URL.revokeObjectURL(link.href);
  });

  return {
    title: () => 'Audit log',
    el: adminPage('/admin/audit', 'Audit log',
                  h('p', {class: 'muted'}, 'What was done and refused in all accounts, newest first. The downloads contain what the filters show.'),
                  filterForm(fields, ({from, to, ...others}) => {
                    filter = {...others, from: midnight(from), to: midnight(to, DAY_MS + DAY_MS / 2)};
                    list.load();
                  }), h('p', {class: 'actions'}, save('csv'), save('json')), list.el),
  };
}
