/* SPDX-License-Identifier: LGPL-2.1-or-later */
// All accounts, for administrators.

import {foreign, h} from '../base/dom.js';
import {time} from '../base/time.js';
import {adminPage, filterForm, pagedTable} from '../parts/admin.js';
import {AS_TYPED, field, select} from '../parts/forms.js';
import {manageAccount} from '../dialogs/admin-account.js';

const STATES = [['', 'All'], ['administrator', 'Administrators'], ['locked', 'Locked'], ['unconfirmed', 'Not confirmed']];

export function adminAccountsView({api, session}) {
  let filter = {q: '', state: ''};
  const isOwn = (a) => a.email.toLowerCase() === session.email?.toLowerCase();
  const tag = (shown, text) => (shown ? h('span', {class: 'tag'}, text) : null);
  const list = pagedTable({
    label: 'Accounts', columns: ['Account', 'Servers', 'Last seen', 'Created', ''],
    read: (path) => api.admin.accounts(filter, path),
    row: (a) => [
      [foreign('bdi', {}, a.email), tag(isOwn(a), 'You'), tag(a.administrator, 'Administrator'), tag(a.locked_at, 'Locked'),
       tag(!a.confirmed, 'Not confirmed')],
      String(a.servers), time(a.seen_at, 'Not logged in'), time(a.created_at),
      h('button', {type: 'button', class: 'small', 'aria-label': `Manage ${a.email}`, on: {click: () => (
        manageAccount(api, a, isOwn(a), () => list.load()))}}, 'Manage'),
    ],
    empty: () => (filter.q || filter.state ? 'No account matches.' : 'No accounts.'),
  });
  const search = field('account-search', 'Search', h('input', {type: 'search', ...AS_TYPED, maxlength: '254', placeholder: 'Part of an address, or an ID'}));
  const state = field('account-state', 'Show', select(STATES, ''));

  return {
    title: () => 'Accounts',
    el: adminPage('/admin/accounts', 'Accounts', filterForm({q: search, state}, (values) => {
      filter = values;
      list.load();
    }), list.el),
  };
}
