/* SPDX-License-Identifier: LGPL-2.1-or-later */
// One service: its state, its properties, its timeline and its recent results.

import {KeyedList, flash, foreign, h, setAttribute, setHidden, setText} from '../base/dom.js';
import {icon} from '../base/icons.js';
import {serverPath, servicePath} from '../base/router.js';
import {errorWords, findCauses, isTrouble, statusMark} from '../base/status.js';
import {duration, timeElement} from '../base/time.js';
import {ApiError} from '../data/http.js';
import {act} from '../parts/forms.js';
import {causeLine, errorLine, lateLine} from '../parts/lines.js';
import {loading, notFound, trouble} from '../parts/notice.js';
import {timelineFigure} from '../parts/timeline.js';
import {askAcknowledge, askSilence} from '../dialogs/silence.js';

const EVENTS_MAX = 100;
const EVENTS_EVERY_MS = 1000;

export function serviceView({api, store, announcer}, {id, name}) {
  const el = h('section', {class: 'page'});
  const crumb = foreign('a', {href: serverPath(id)}, 'Server');
  const title = foreign('h1', {tabindex: '-1'}, name);
  const description = foreign('p', {class: 'description'});
  const status = statusMark();
  const since = timeElement('since', '');
  const message = foreign('p', {class: 'message'});
  const verdict = h('div', {class: 'verdict'}, h('p', {class: 'facts'}, status.el, since.el), message);
  const error = errorLine();
  const late = lateLine();
  const because = causeLine(id);
  const ackText = h('bdi', {dir: 'auto'});
  const ackBy = foreign('span', {class: 'muted'});
  const ack = h('p', {class: 'notice', hidden: true}, h('strong', {}, 'Acknowledged: '), ackText, ' ', ackBy, ' ',
                act('Withdraw', () => api.services.withdraw(id, name)));
  const acknowledge = h('button', {type: 'button', on: {click: () => askAcknowledge(api, {id, name, title: title.textContent})}}, 'Acknowledge');
  const silence = h('button', {type: 'button', on: {click: () => askSilence(api, title.textContent, {server_id: id, service: name},
                                                                             () => announcer.say('Silenced.'))}}, 'Silence');
  const facts = new Facts(id, name);
  const events = new Events(api, id, name);
  const whole = [
    h('nav', {class: 'crumbs', 'aria-label': 'Breadcrumb'}, h('a', {href: '/'}, 'Servers'), h('span', {'aria-hidden': 'true'}, '/'), crumb),
    h('div', {class: 'page-head'}, title, h('div', {class: 'actions end'}, acknowledge, silence)),
    description, verdict, error.el, late.el, because.el, ack, facts.el, events.timeline.el, events.el,
  ];
  const wait = loading();
  let before = null;

  store.watch(id);
  el.append(whole[0], wait);
  return {
    el,
    destroy: () => events.stop(),
    title: () => find()?.title || name,

    update() {
      const services = store.services.get(id);
      const service = find();

      setText(crumb, store.servers.get(id)?.name ?? 'Server');
      if (services === undefined && !(store.loaded && !store.servers.has(id))) return;
      if (services instanceof ApiError && services.status !== 404)
        return el.replaceChildren(whole[0], trouble(`The service could not be loaded. ${services.message}`));
      if (!service) {
        before = null;
        return el.replaceChildren(...notFound('Service not found', 'It may have been removed on its server.').childNodes);
      }
      because.set(findCauses(services).get(name));
      facts.depends(service.depends_on ?? [], services);
      if (service === before) return;
      if (!before) {
        const focused = document.activeElement === document.body || document.activeElement?.id === 'main';
        el.replaceChildren(...whole);
        if (focused) title.focus({preventScroll: true});
      }

      setText(title, service.title || service.name);
      setText(description, service.metadata.description);
      setHidden(description, !service.metadata.description);
      status.set(service.status);
      since.set(service.changed_at);
      setText(message, service.message);
      setAttribute(verdict, 'data-status', service.status ?? 'none');
      error.set(service.error);
      late.set(service.stale ? service.stale_since : null);
      setHidden(ack, !service.acknowledgement || !isTrouble(service));
      setText(ackText, service.acknowledgement?.reason);
      setText(ackBy, service.acknowledgement?.made_by ? `by ${service.acknowledgement.made_by}` : '');
      setHidden(acknowledge, Boolean(service.acknowledgement) || !isTrouble(service));
      facts.set(service);
      if (before && (before.status !== service.status || before.message !== service.message)) flash(verdict);
      if (events.failed || before?.received_at !== service.received_at || before?.error?.at !== service.error?.at) events.read();
      before = service;
    },
  };

  function find() {
    const services = store.services.get(id);
    return services instanceof Map ? services.get(name) : undefined;
  }
}

class Facts {
  el = h('dl', {class: 'facts-list'});
  #reported = timeElement('ago');
  #next = timeElement('due');
  #texts = {};
  #watches = foreign('bdi', {class: 'mono'});
  #depends = h('span');
  #metadata;
  #watchesFact;
  #dependsFact;
  #serverId;

  constructor(serverId, name) {
    this.#serverId = serverId;
    this.#add('Reported', this.#reported.el);
    this.#add('Next run', this.#next.el);
    for (const [key, label] of [['schedule', 'Schedule'], ['timeout', 'Timeout'], ['duration', 'Last run took']]) {
      this.#texts[key] = foreign('bdi', {class: key === 'schedule' ? 'mono' : ''});
      this.#add(label, this.#texts[key]);
    }
    this.#metadata = this.#add('Script', h('span'));
    this.#watchesFact = this.#add('Watches', this.#watches);
    this.#dependsFact = this.#add('Depends on', this.#depends);
    this.#add('On the server', h('code', {}, `ssictl log ${name}`));
  }

  #add(label, node) {
    const el = h('div', {}, h('dt', {}, label), h('dd', {}, node));

    this.el.append(el);
    return el;
  }

  depends(names, services) {
    const key = JSON.stringify(names.map((name) => [name, services.get(name)?.title]));

    setHidden(this.#dependsFact, !names.length);
    if (this.#depends.dataset.key === key) return;
    this.#depends.dataset.key = key;
    this.#depends.replaceChildren(...names.flatMap((name, i) => [i > 0 ? ', ' : '',
      foreign('a', {href: servicePath(this.#serverId, name)}, services.get(name)?.title || name)]));
  }

  // Each key of the script's header that is only displayed, whatever it is called; the description stands above.
  #describe({description, ...keys}) {
    const text = JSON.stringify(keys);

    if (this.#metadata.dataset.key === text) return;
    this.#metadata.dataset.key = text;
    setHidden(this.#metadata, text === '{}');
    this.#metadata.lastChild.replaceChildren(...Object.entries(keys).flatMap(([key, value], i) =>
      [i > 0 ? ', ' : '', `${key} `, foreign('bdi', {}, value)]));
  }

  set(service) {
    this.#reported.set(service.status_at);
    this.#next.el.dataset.missing = service.enabled === false ? 'Disabled' : '–';
    this.#next.set(service.enabled === false ? null : service.next_run);
    setText(this.#texts.schedule, service.schedule || '–');
    setText(this.#texts.timeout, duration(service.timeout_ms));
    setText(this.#texts.duration, duration(service.duration_ms));
    this.#describe(service.metadata);
    setText(this.#watches, service.watches?.join(', '));
    setHidden(this.#watchesFact, !service.watches?.length);
  }
}

// The recent results, reloaded when the service reports, at most once a second.
class Events {
  #body = h('tbody', {role: 'rowgroup'});
  #list = new KeyedList(this.#body, eventRow);
  #state = h('div', {class: 'state'}, loading());
  #table = h('table', {class: 'grid events', role: 'table', 'aria-labelledby': 'events-title', hidden: true},
             h('thead', {role: 'rowgroup'}, h('tr', {role: 'row'},
               [['Time', 'c-at'], ['Result', 'c-status'], ['Message', 'c-message'], ['Duration', 'c-took']]
                 .map(([text, c]) => h('th', {scope: 'col', role: 'columnheader', class: c}, text)))),
             this.#body);
  el = h('section', {}, h('h2', {id: 'events-title'}, 'Recent results'), this.#state, this.#table);

  timeline = timelineFigure();
  failed = false;
  #read;
  #readTimeline;
  #timer = 0;
  #busy = false;
  #again = false;
  #stopped = false;

  constructor(api, id, name) {
    this.#read = () => api.services.events(id, name, EVENTS_MAX);
    this.#readTimeline = () => api.services.timeline(id, name);
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async read() {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    try {
      const [events, timeline] = await Promise.all([this.#read(), this.#readTimeline()]);
      this.#show(events);
      this.timeline.show(timeline);
      this.failed = false;
    } catch (e) {
      this.failed = true;
      if (!this.#stopped && e.status !== 401) this.#state.replaceChildren(trouble(`The results could not be loaded. ${e.message}`));
    }
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#busy = false;
      if (!this.#again) return;
      this.#again = false;
      this.read();
    }, EVENTS_EVERY_MS);
  }

  #show(events) {
    const times = new Map(); // how often each key has occurred; duplicates are numbered

    this.#state.replaceChildren(...(events.length ? [] : [h('p', {class: 'muted'}, 'Nothing has been reported yet.')]));
    setHidden(this.#table, !events.length);
    // Numbered from the oldest, so that a row keeps its key when newer ones arrive.
    const keyed = events.toReversed().map((event, i, all) => {
      const key = `${event.received_at} ${event.at} ${event.kind} ${event.invocation_id}`;
      const n = (times.get(key) ?? 0) + 1;
      times.set(key, n);
      return {event, repeats: i > 0 && repeats(event, all[i - 1]), key: `${key} ${n}`};
    }).toReversed();
    this.#list.sync(keyed, ({key}) => key);
  }
}

// A result equal to the previous one is dimmed, so that changes stand out.
function repeats(event, older) {
  return event.kind === 'result' && older.kind === 'result' && event.status === older.status && event.message === older.message;
}

function eventRow({event}) {
  const at = timeElement('at');
  const mark = h('td', {role: 'cell', class: 'c-status'});
  const text = foreign('p', {class: 'message'});

  at.set(event.at);
  if (event.kind === 'result') {
    const status = statusMark();
    status.set(event.status);
    mark.append(status.el);
    setText(text, event.message);
  } else {
    const gap = event.kind === 'gap';
    mark.append(h('span', {class: 'status', data: {value: gap ? 'gap' : 'error'}}, icon(gap ? 'gap' : 'error'),
                  h('span', {class: 'word'}, gap ? 'Gap' : 'Execution error')));
    setText(text, gap ? event.message || 'Results are missing: the journal was rotated before they could be sent.'
                      : event.error?.detail || errorWords(event.error?.kind));
  }
  const el = h('tr', {role: 'row', class: 'row'}, h('td', {role: 'cell', class: 'c-at'}, at.el), mark,
               h('td', {role: 'cell', class: 'c-message'}, text),
               h('td', {role: 'cell', class: 'c-took'}, duration(event.duration_ms)));

  return {el, update: (item) => el.classList.toggle('repeats', item.repeats)};
}
