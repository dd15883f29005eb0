/* SPDX-License-Identifier: LGPL-2.1-or-later */
// One server: its services, those that need attention most first.

import {KeyedList, flash, foreign, h, setAttribute, setHidden, setText} from '../base/dom.js';
import {Filter} from '../base/filter.js';
import {icon} from '../base/icons.js';
import {servicePath} from '../base/router.js';
import {STATUSES, WORDS, behindCauses, compareServices, countServices, dependantsText, findCauses, isTrouble, linkMark, plural,
        statusMark} from '../base/status.js';
import {timeElement} from '../base/time.js';
import {ApiError} from '../data/http.js';
import {filterBar} from '../parts/filterbar.js';
import {causeLine, errorLine, lateLine} from '../parts/lines.js';
import {loading, notFound, trouble} from '../parts/notice.js';
import {openOnClick, setLabels} from '../parts/rows.js';
import {editPublicPage, editServer, keepHost, removeServer, replaceToken} from '../dialogs/server.js';
import {askSilence} from '../dialogs/silence.js';
import {moveServer} from '../dialogs/team.js';

const has = (service, show) => (show === 'errors' ? Boolean(service.error) : show === 'stale' ? service.stale : service.status === show);

export function serverView({api, store, router, announcer, redraw}, {id}) {
  const el = h('section', {class: 'page'});
  const name = foreign('h1', {tabindex: '-1'}, '');
  const conn = linkMark();
  const seen = timeElement('ago', '');
  const filter = new Filter((service) => `${service.title ?? ''} ${service.name} ${service.message ?? ''}`, has);
  const bar = filterBar(filter, ['service', 'services'], redraw);
  const counts = new Counts(filter, redraw);
  const none = h('p', {class: 'none', hidden: true}, 'No service matches.');
  const labels = h('ul', {class: 'labels', role: 'list', 'aria-label': 'Labels'});
  const menu = serverMenu({api, store, router, announcer}, id);
  const notice = h('div', {class: 'state'});
  const duplicate = h('div', {class: 'state'});
  const agent = foreign('span', {class: 'agent-version'});
  const state = h('div', {class: 'state'});
  const body = h('tbody', {role: 'rowgroup'});
  let causes = new Map(); // by the name of the service in trouble because of them
  let dependants = new Map();
  const list = new KeyedList(body, (service) => serviceRow(id, service, router, (s) => ({
    cause: causes.get(s.name), dependants: dependants.get(s.name)?.length ?? 0})));
  const table = h('table', {class: 'grid services', role: 'table', 'aria-label': 'Services, worst first'},
                  h('thead', {role: 'rowgroup'}, h('tr', {role: 'row'},
                    [['Status', 'c-status'], ['Service', 'c-name'], ['Message', 'c-message'], ['Reported', 'c-time'],
                     ['Unchanged', 'c-time'], ['Next run', 'c-time']]
                      .map(([text, c]) => h('th', {scope: 'col', role: 'columnheader', class: c}, text)))),
                  body);
  const whole = [
    h('nav', {class: 'crumbs', 'aria-label': 'Breadcrumb'}, h('a', {href: '/'}, 'Servers')),
    h('div', {class: 'page-head'}, name, h('p', {class: 'facts'}, conn.el, seen.el, agent), labels, menu),
    duplicate, notice, counts.el, bar.el, state, none, table,
  ];

  store.watch(id);
  el.append(...whole);
  return {
    el,
    title: () => store.servers.get(id)?.name ?? 'Server',

    update() {
      const server = store.servers.get(id);
      const services = store.services.get(id);

      if ((store.loaded && !server) || (services instanceof ApiError && services.status === 404)) {
        if (!el.dataset.gone) el.replaceChildren(...notFound('Server not found', 'It may have been removed.').childNodes);
        el.dataset.gone = 'yes';
        return;
      }
      if (el.dataset.gone) {
        delete el.dataset.gone;
        el.replaceChildren(...whole);
      }

      if (server) {
        setText(name, server.name);
        conn.set(server.state);
        seen.set(server.state === 'offline' ? server.last_seen : null);
        setText(agent, agentText(server));
        setLabels(labels, server.labels);
        showNotice(notice, server);
        showDuplicate(duplicate, api, server);
      }
      const known = services instanceof Map ? [...services.values()] : [];
      const shown = filter.active ? known.filter((service) => filter.takes(service)) : known;
      setHidden(table, !shown.length);
      setHidden(none, !known.length || shown.length > 0);
      showState(state, server, services);
      counts.update(countServices(known));
      bar.update(known.length, shown.length, []);
      causes = services instanceof Map ? findCauses(services) : new Map();
      dependants = Map.groupBy(causes.values(), (cause) => cause.name);
      list.sync(behindCauses(shown.sort(compareServices), causes), (service) => service.name);
    },
  };
}

function agentText({agent_version: version, agent_outdated: outdated}) {
  return outdated ? `Agent ${version}, older than the backend: upgrade it` : version ? `Agent ${version}` : '';
}

// Replaces the children only when the text changes: a screen reader reads a replaced alert again.
function say(el, key, make) {
  if (el.dataset.key === key) return;
  el.dataset.key = key;
  el.replaceChildren(...make());
}

function showNotice(el, server) {
  if (server.state === 'rebooting') {
    say(el, 'rebooting', () => [h('p', {class: 'notice'}, 'This server is rebooting, as planned. Showing its last report.')]);
  } else if (server.state === 'offline') {
    say(el, 'offline', () => [h('p', {class: 'notice'}, 'This server is offline. Showing its last report.')]);
  } else {
    say(el, '', () => []);
  }
}

// A copy of the host, usually.
function showDuplicate(el, api, server) {
  const {accepted, refused} = server.duplicate ?? {};
  const names = accepted && refused && accepted !== refused ? `: “${accepted}” is connected, and “${refused}” is refused`
    : accepted ? `, both named “${accepted}”: one is connected, and the other is refused` : ': one is connected, and the other is refused';
  const choice = (keep, text) => h('button', {type: 'button', on: {click: () => keepHost(api, server, keep)}}, text);

  say(el, server.duplicate ? names : '', () => (!server.duplicate ? [] : [h('div', {class: 'notice bad', role: 'alert'},
    h('p', {}, `Two hosts use the identity of this server${names}. Nothing is removed here until you choose one. Usually, one is a copy of the other.`),
    h('p', {class: 'actions'}, choice('accepted', 'Keep the connected one …'), ' ', choice('refused', 'Keep the refused one …')))]));
}

function showState(el, server, services) {
  if (services === undefined || !server) {
    say(el, 'loading', () => [loading()]);
  } else if (services instanceof ApiError) {
    say(el, services.message, () => [trouble(`The services could not be loaded. ${services.message}`)]);
  } else if (services.size) {
    say(el, '', () => []);
  } else if (server.state === 'pending') {
    say(el, 'pending', () => [h('div', {class: 'empty'},
      h('h2', {}, 'Waiting for the agent'),
      h('p', {}, 'On this server, run the ', h('code', {}, 'ssictl register'), ' command that you got when you registered it. It is ' +
        'shown only once; if you have lost it or it has expired, ', h('a', {href: '/servers/new'}, 'register the server again'), '.'))]);
  } else {
    say(el, 'none', () => [h('div', {class: 'empty'},
      h('h2', {}, 'No services yet'),
      h('p', {}, 'Add a service-script on this server and it appears here:'),
      h('pre', {class: 'command'}, h('code', {}, 'ssictl add check-something.bash')))]);
  }
}

// How many there are of each kind; pressing one shows only those.
class Counts {
  el = h('p', {class: 'counts', role: 'group', 'aria-label': 'Show only'});
  #filter;
  #buttons;

  constructor(filter, onChange) {
    this.#filter = filter;
    this.#buttons = [...STATUSES, 'errors', 'stale'].map((key) => {
      const text = h('span');
      const el = h('button', {type: 'button', class: 'count', data: {value: key}, on: {click: () => {
        filter.change({show: filter.show === key ? '' : key});
        onChange();
      }}}, icon(key === 'errors' ? 'error' : key), text);
      this.el.append(el);
      return {key, el, text};
    });
  }

  update(sum) {
    setHidden(this.el, !sum.services);
    for (const {key, el, text} of this.#buttons) {
      setHidden(el, !sum[key] && this.#filter.show !== key);
      setText(text, key === 'errors' ? plural(sum.errors, 'execution error') : key === 'stale' ? `${sum.stale} overdue` : `${sum[key]} ${WORDS[key]}`);
      setAttribute(el, 'aria-pressed', String(this.#filter.show === key));
    }
  }
}

function serviceRow(serverId, service, router, relationsOf) {
  const status = statusMark();
  const link = foreign('a', {href: servicePath(serverId, service.name)});
  const off = h('span', {class: 'tag'}, 'Disabled');
  const ack = h('span', {class: 'tag'}, 'Acknowledged');
  const late = lateLine();
  const message = foreign('p', {class: 'message'});
  const error = errorLine();
  const because = causeLine();
  const more = h('p', {class: 'more'});
  const reported = timeElement('ago');
  const since = timeElement('since');
  const next = timeElement('due');
  const el = h('tr', {role: 'row', class: 'row'},
               h('td', {role: 'cell', class: 'c-status'}, status.el),
               h('th', {role: 'rowheader', scope: 'row', class: 'c-name'}, link, ' ', off, ' ', ack),
               h('td', {role: 'cell', class: 'c-message'}, message, error.el, late.el, because.el, more),
               cell('Reported', reported), cell('Unchanged', since), cell('Next run', next));
  let before = null;

  openOnClick(el, link, router);
  return {
    el,
    update(s) {
      const {cause, dependants} = relationsOf(s);

      because.set(cause);
      setText(more, dependantsText(dependants));
      setHidden(more, !dependants);
      if (before === s) return;
      status.set(s.status);
      setText(link, s.title || s.name);
      setHidden(off, s.enabled !== false);
      setText(message, s.message);
      error.set(s.error);
      late.set(s.stale ? s.stale_since : null);
      setHidden(ack, !s.acknowledgement || !isTrouble(s));
      reported.set(s.status_at);
      since.set(s.changed_at);
      next.set(s.enabled === false ? null : s.next_run);
      setAttribute(el, 'data-status', s.status ?? 'none');
      if (before && (before.status !== s.status || before.message !== s.message || !before.error !== !s.error)) flash(el);
      before = s;
    },
  };
}

function cell(label, time) {
  return h('td', {role: 'cell', class: 'c-time'}, h('span', {class: 'cell-label', 'aria-hidden': 'true'}, label), time.el);
}

// The actions on the server.
function serverMenu({api, store, router, announcer}, id) {
  const server = () => store.servers.get(id);
  const entry = (text, f) => h('button', {type: 'button', on: {click: () => {
    el.open = false;
    f();
  }}}, text);
  const el = h('details', {class: 'menu'}, h('summary', {class: 'button'}, 'Manage'), h('div', {class: 'menu-body'},
    entry('Name and labels …', () => editServer(api, server())),
    entry('Silence …', () => askSilence(api, server().name, {server_id: id}, () => announcer.say('Silenced.'))),
    entry('Public page and badge …', () => editPublicPage(api, id)),
    entry('Move to another team …', () => moveServer(api, server())),
    entry('New token …', () => replaceToken(api, server())),
    entry('Remove …', () => removeServer(api, server(), () => router.go('/', {replace: true})))));

  el.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape' || !el.open) return;
    el.open = false;
    el.querySelector('summary').focus();
  });
  el.addEventListener('focusout', (e) => {
    if (e.relatedTarget && !el.contains(e.relatedTarget)) el.open = false;
  });
  return el;
}
