/* SPDX-License-Identifier: LGPL-2.1-or-later */
// All servers, those that need attention most first.

import {KeyedList, flash, foreign, h, setAttribute, setHidden, setText} from '../base/dom.js';
import {Filter} from '../base/filter.js';
import {icon} from '../base/icons.js';
import {serverPath, servicePath} from '../base/router.js';
import {STATUSES, WORDS, compareServers, dependantsText, errorWords, linkMark, plural, statusMark,
        totals} from '../base/status.js';
import {timeElement} from '../base/time.js';
import {figures, filterBar} from '../parts/filterbar.js';
import {loading, trouble} from '../parts/notice.js';
import {openOnClick, setLabels} from '../parts/rows.js';

const COLUMNS = [...STATUSES, 'errors'];
const ICONS = {errors: 'error'};
const NAMES = {...WORDS, errors: 'Errors'};

function has(server, show) {
  if (show === 'errors' || show === 'stale') return server[show] > 0;
  return show in server.counts ? server.counts[show] > 0 : server.state === show;
}

export function overviewView({session, store, router, redraw}) {
  const filter = new Filter((server) => `${server.name} ${server.labels.join(' ')}`, has);
  const bar = filterBar(filter, ['server', 'servers'], redraw);
  const sums = figures([...STATUSES.map((status) => [status, {}]),
                        ['errors', {icon: 'error', word: 'Execution errors', short: 'Errors'}]], filter, redraw);
  const about = h('span');
  const states = ['offline', 'rebooting', 'stale', 'pending'].map((state) => stateButton(state, filter, redraw));
  const summary = h('section', {class: 'summary', 'aria-label': 'Summary'}, sums.el, bar.el);
  const body = h('tbody', {role: 'rowgroup'});
  const list = new KeyedList(body, (server) => serverRow(server, router));
  const table = h('table', {class: 'grid servers', role: 'table', 'aria-label': 'Servers, worst first'},
                  h('thead', {role: 'rowgroup'}, h('tr', {role: 'row'},
                    column('Status', 'c-status'), column('Server', 'c-name'), column('Connection', 'c-conn'),
                    COLUMNS.map((key) => column(NAMES[key], 'c-num')), column('Problem', 'hidden'))),
                  body);
  const state = h('div', {class: 'state'}, loading());
  const none = h('p', {class: 'none', hidden: true}, 'No server matches.');

  return {
    el: h('section', {class: 'page'},
          h('div', {class: 'page-head'},
            h('h1', {tabindex: '-1'}, 'Servers'),
            h('p', {class: 'headline'}, about, states.map((s) => s.el)),
            h('a', {class: 'button', href: '/servers/new'}, 'Register a server')),
          state, summary, none, table),

    title() {
      const failing = totals(store.servers.values()).FAILURE;
      return failing ? `(${failing}) Servers` : 'Servers';
    },

    update() {
      const servers = [...store.servers.values()];
      const shown = filter.active ? servers.filter((server) => filter.takes(server)) : servers;

      setHidden(summary, !servers.length);
      setHidden(table, !shown.length);
      setHidden(none, !servers.length || shown.length > 0);
      if (store.error && !store.known) state.replaceChildren(trouble(`The servers could not be loaded. ${store.error.message}`));
      else if (store.loaded && !servers.length) state.firstChild?.id === 'empty' || state.replaceChildren(empty());
      else if (store.known) state.replaceChildren();

      const sum = totals(servers);
      setText(about, sum.servers ? `${plural(sum.servers, 'server')}, ${plural(sum.services, 'service')}` : '');
      for (const s of states) s.set(sum[s.state]);
      sums.update(sum);
      bar.update(servers.length, shown.length, labelsOf(servers), teamsOf(servers, session.email));
      list.sync(shown.sort(compareServers), (server) => server.id);
    },
  };
}

// {id, name}, the personal one first.
function teamsOf(servers, email) {
  const teams = new Map();

  for (const {team} of servers) if (team) teams.set(team.id, team.name === email ? {id: team.id, name: 'Personal', first: true} : team);
  return [...teams.values()].sort((a, b) => Boolean(b.first) - Boolean(a.first) || a.name.localeCompare(b.name));
}

function labelsOf(servers) {
  const labels = new Set();

  for (const server of servers) for (const label of server.labels) labels.add(label);
  return [...labels].sort();
}

const STATE_TEXTS = {offline: 'offline', rebooting: 'rebooting', stale: 'overdue', pending: 'not connected yet'};

// "3 offline"; pressing it shows only those.
function stateButton(state, filter, onChange) {
  const el = h('button', {type: 'button', class: 'inline', data: {value: state}, on: {click: () => {
    filter.change({show: filter.show === state ? '' : state});
    onChange();
  }}});

  return {
    el,
    state,
    set(n) {
      setText(el, n ? `${n} ${STATE_TEXTS[state]}` : '');
      setHidden(el, !n && filter.show !== state);
      setAttribute(el, 'aria-pressed', String(filter.show === state));
    },
  };
}

function column(text, className) {
  return h('th', {scope: 'col', role: 'columnheader', class: className}, text);
}

function serverRow(server, router) {
  const status = statusMark();
  const link = foreign('a', {href: serverPath(server.id)});
  const labels = h('ul', {class: 'labels', role: 'list', 'aria-label': 'Labels'});
  const conn = linkMark();
  const seen = timeElement('ago', '');
  const late = h('span', {class: 'late'});
  const twice = h('span', {class: 'late twice'});
  const old = h('span', {class: 'agent-version old-agent'});
  const counts = COLUMNS.map((key) => [key, count(key)]);
  const problem = problemCell(server.id);
  const el = h('tr', {role: 'row', class: 'row'},
               h('td', {role: 'cell', class: 'c-status'}, status.el),
               h('th', {role: 'rowheader', scope: 'row', class: 'c-name'}, h('div', {class: 'name-line'}, link, labels)),
               h('td', {role: 'cell', class: 'c-conn'}, conn.el, ' ', seen.el, late, twice, old),
               counts.map(([, c]) => c.el), problem.el);
  let before = null;

  openOnClick(el, link, router);
  return {
    el,
    update(s) {
      if (before === s) return;
      status.set(s.worst_status);
      setText(link, s.name);
      setLabels(labels, s.labels);
      conn.set(s.state);
      seen.set(s.state === 'offline' ? s.last_seen : null);
      setText(late, s.stale ? ` ${s.stale} overdue` : '');
      setText(twice, s.duplicate ? ' two hosts' : '');
      setText(old, s.agent_outdated ? ' agent outdated' : '');
      for (const [key, c] of counts) c.set(key === 'errors' ? s.errors : s.counts[key] ?? 0);
      problem.set(s.worst_service ?? null);
      setAttribute(el, 'data-status', s.worst_status ?? 'none');
      setAttribute(el, 'data-conn', s.state);
      if (before && (before.worst_status !== s.worst_status || before.state !== s.state || before.worst_service?.message !== s.worst_service?.message))
        flash(el);
      before = s;
    },
  };
}

// The worst service and its message, in one line. Most servers have none, and nothing is built for them.
function problemCell(serverId) {
  const el = h('td', {role: 'cell', class: 'c-problem', hidden: true});
  const link = foreign('a');
  const words = h('bdi', {class: 'words', dir: 'auto'});
  const more = h('span', {class: 'more'});
  let shown = '';

  return {
    el,
    set(service) {
      const kind = !service ? '' : service.status === 'FAILURE' ? 'FAILURE' : service.error ? 'error' : service.stale ? 'stale' : service.status;

      setHidden(el, !service);
      if (!service) return;
      if (shown !== kind) el.replaceChildren(icon(kind), link, ' ', words, ' ', more);
      shown = kind;
      setAttribute(el, 'data-value', kind);
      setAttribute(link, 'href', servicePath(serverId, service.name));
      setText(link, service.title);
      setText(words, kind === 'error' ? `Execution error: ${service.error.detail || errorWords(service.error.kind)}`
        : kind === 'stale' ? 'Overdue' : service.message);
      setText(more, service.dependants ? `· ${dependantsText(service.dependants)}` : '');
    },
  };
}

// Most counts are 0 and remain so: these get no icon.
function count(key) {
  const number = h('span', {class: 'number'});
  const el = h('td', {role: 'cell', class: 'c-num', data: {value: key}}, number);
  let rich = false;

  return {
    el,
    set(n) {
      setText(number, String(n));
      el.classList.toggle('zero', n === 0);
      if (!n || rich) return;
      rich = true;
      el.prepend(icon(ICONS[key] ?? key));
      el.append(h('span', {class: 'word'}, NAMES[key]));
    },
  };
}

function empty() {
  return h('div', {class: 'empty', id: 'empty'},
           h('h2', {}, 'No servers yet'),
           h('p', {}, 'Register a server to get a token, then run one command on it. Its services appear here as their scripts report.'),
           h('p', {}, h('a', {class: 'button primary', href: '/servers/new'}, 'Register your first server')));
}
