/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The dashboard's modules on their own, in the browser, without a server.

import assert from 'node:assert/strict';
import {readFileSync, readdirSync} from 'node:fs';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';
import {launch} from './browser.js';

const web = fileURLToPath(new URL('../../web', import.meta.url));
let browser, page;

before(async () => {
  browser = await launch();
  page = await browser.newPage();
  await page.route('**/*', (route) => {
    const path = new URL(route.request().url()).pathname;
    if (path === '/') return route.fulfill({contentType: 'text/html', body: '<!doctype html><p id="announcer">'});
    return route.fulfill({path: web + path, contentType: 'text/javascript'});
  });
  await page.goto('http://ssi.test/');
});

after(() => browser?.close());

test('the lists of modules match the folder: preloaded, cached for offline use, installed', () => {
  const read = (name) => readFileSync(`${web}/${name}`, 'utf8');
  const modules = readdirSync(`${web}/js`, {recursive: true}).filter((f) => f.endsWith('.js')).map((f) => `js/${f}`).sort();
  const found = (name, expression) => [...read(name).matchAll(expression)].map((m) => m[1]).sort();

  assert.deepEqual(found('index.html', /rel="modulepreload" href="\/([^"]+)"/g), modules);
  assert.deepEqual(found('sw.js', /'\/(js\/[^']+)'/g), modules);
  assert.deepEqual(found('meson.build', /'(js\/[^']+\.js)'/g), modules);
  for (const file of found('sw.js', /'\/([^'/]+\.\w+|icons\/[^']+)'/g)) assert.ok(read(file).length, file);
});

test('the event stream parser takes text however it is cut', async () => {
  const different = await page.evaluate(async () => {
    const {SseParser} = await import('/js/data/sse.js');
    const text = ': hello\r\n\r\nevent: ready\ndata: {}\n\nevent:a\r\ndata: 1\r\ndata:  2\r\n\r\ndata\rdata:x\r\rid: 7\nretry: 10\n\n' +
                 'data: \u{1f6a8} é:ü\n\nevent: dropped\n\nunknown: x\ndata: last\n\ndata: never finished';
    const expected = JSON.stringify([{event: 'ready', data: '{}'}, {event: 'a', data: '1\n 2'}, {event: 'message', data: '\nx'},
                                     {event: 'message', data: '\u{1f6a8} é:ü'}, {event: 'message', data: 'last'}]);
    const wrong = [];

    for (let size = 1; size <= text.length; size++) {
      const parser = new SseParser();
      const events = [];
      for (let i = 0; i < text.length; i += size) events.push(...parser.push(text.slice(i, i + size)));
      if (JSON.stringify(events) !== expected) wrong.push([size, events]);
    }
    return wrong;
  });
  assert.deepEqual(different, []);
});

test('times are put into words', async () => {
  const said = await page.evaluate(async () => {
    const {duration, relative} = await import('/js/base/time.js');
    const t = Date.parse('2026-03-29T01:00:00Z');
    const s = 1000, min = 60 * s, h = 60 * min, d = 24 * h;
    return [
      relative(t, 'ago', t + 3 * s), relative(t, 'ago', t + 47 * s), relative(t, 'ago', t + 61 * s),
      relative(t, 'ago', t + 2 * h + 5 * min), relative(t, 'ago', t + 9 * h), relative(t, 'ago', t + d), relative(t, 'ago', t + 3 * d),
      relative(t, 'due', t - 42 * s), relative(t, 'due', t - 90 * min), relative(t, 'due', t + s), relative(t, 'due', t + 5 * min),
      relative(t, 'since', t + 4 * s), relative(t, 'since', t + 3 * h),
      duration(null), duration(7), duration(1234), duration(20000), duration(90000),
    ];
  });
  assert.deepEqual(said, ['just now', '40 s ago', '1 min ago', '2 h 5 min ago', '9 h ago', '1 day ago', '3 days ago',
                          'in 42 s', 'in 1 h 30 min', 'now', 'due 5 min ago', 'for 4 s', 'for 3 h',
                          '–', '7 ms', '1.23 s', '20.0 s', '1 min']);
});

test('the days of a timeline begin and end at midnight, and are summed up in words', async () => {
  const [drawn, words, none, begun] = await page.evaluate(async () => {
    const {begun, lanes, summarize} = await import('/js/parts/timeline.js');
    const at = (day, hour) => new Date(2026, 4, day, hour).toISOString();
    const timeline = {
      from: at(1, 12), to: at(3, 12), errors: [{at: at(2, 6), kind: 'timeout'}],
      stretches: [{from: at(1, 12), to: at(2, 18), status: 'OK'}, {from: at(2, 18), to: at(2, 21), status: 'FAILURE'},
                  {from: at(3, 0), to: at(3, 12), status: 'OK'}],
    };
    const hours = (lane) => lane.bars.map((b) => [b.status, (b.from - lane.start) / 36e5, (b.to - lane.start) / 36e5]);
    return [lanes(timeline).map((lane) => [new Date(lane.start).getDate(), hours(lane), lane.errors.length]), summarize(timeline),
            summarize({...timeline, stretches: [], errors: []}),
            [timeline, {...timeline, stretches: timeline.stretches.slice(2)}, {...timeline, stretches: [], errors: []}].map((t) => begun(lanes(t)).length)];
  });
  assert.deepEqual(drawn, [[3, [['OK', 0, 12]], 0], [2, [['OK', 0, 18], ['FAILURE', 18, 21]], 1], [1, [['OK', 12, 24]], 0]]);
  assert.equal(words, 'Failure 6.7 % (1 time, 3 h), OK 93.3 %, 1 execution error.');
  assert.equal(none, 'Nothing was reported in this period.');
  assert.deepEqual(begun, [3, 2, 1], 'the days before the first that is known are left out');
});

test('times are written as the account wants to read them, and its days begin in its zone', async () => {
  const said = await page.evaluate(async () => {
    const {absolute, clock, dayName, midnight, setTimeFormat} = await import('/js/base/time.js');
    const noon = Date.parse('2026-07-01T12:00:00Z');
    const said = [];

    for (const [zone, language, hours] of [['Europe/Athens', 'en', 24], ['Europe/Athens', 'en-GB', 12], ['America/New_York', 'en-US', 12],
                                           ['Asia/Kathmandu', 'en-US', 24], ['UTC', 'en', 12]]) {
      setTimeFormat({time_zone: zone, language, clock: hours});
      said.push(`${absolute(noon)} | ${clock(noon - 12 * 36e5)} | ${dayName(noon)}`);
    }
    setTimeFormat({time_zone: 'Europe/Atlantis', clock: 24});
    said.push(absolute(noon) === (setTimeFormat({}), absolute(noon)));

    const begin = (zone, iso) => {
      setTimeFormat({time_zone: zone});
      return new Date(midnight(Date.parse(iso))).toISOString();
    };
    said.push(begin('Europe/Athens', '2026-07-01T21:00:00Z'), begin('Europe/Athens', '2026-07-01T20:59:59.999Z'),
              begin('Europe/Berlin', '2026-03-29T20:00:00Z'), begin('Europe/Berlin', '2026-10-25T20:00:00Z'), // 23 and 25 hours
              begin('America/Sao_Paulo', '2018-11-04T20:00:00Z'), begin('Asia/Kathmandu', '2026-07-01T12:00:00Z')); // no midnight; 5 h 45 min
    setTimeFormat({});
    return said;
  });
  assert.deepEqual(said.map((s) => (typeof s === 'string' ? s.replaceAll('\u202f', ' ') : s)), [
    '2026-07-01 15:00:00 | 03:00:00 | 1 Wed', '01/07/2026 3:00:00 pm | 3:00:00 am | Wed 1', '07/01/2026 8:00:00 AM | 8:00:00 PM | 1 Wed',
    '07/01/2026 17:45:00 | 05:45:00 | 1 Wed', '2026-07-01 12:00:00 PM | 12:00:00 AM | 1 Wed', true,
    '2026-07-01T21:00:00.000Z', '2026-06-30T21:00:00.000Z', '2026-03-28T23:00:00.000Z', '2026-10-24T22:00:00.000Z',
    '2018-11-04T03:00:00.000Z', '2026-06-30T18:15:00.000Z',
  ]);
});

test('what needs attention most comes first', async () => {
  const [services, servers] = await page.evaluate(async () => {
    const {compareServers, compareServices} = await import('/js/base/status.js');
    const service = (title, status, error = null) => ({name: title, title, status, error});
    const server = (name, state, worst, errors = 0) => ({id: name, name, state, worst_status: worst, errors,
                                                         counts: {OK: 0, UPDATE: 0, WARNING: 0, FAILURE: worst === 'FAILURE' ? 1 : 0}});
    return [
      [service('ok10', 'OK'), service('new', null), service('upd', 'UPDATE'), service('err', 'OK', {kind: 'timeout'}),
       service('warn', 'WARNING'), service('fail', 'FAILURE'), service('ok9', 'OK')].sort(compareServices).map((s) => s.title),
      [server('pending', 'pending', null), server('ok', 'online', 'OK'), server('off', 'offline', 'OK'), server('warn', 'online', 'WARNING'),
       server('fail', 'online', 'FAILURE'), server('err', 'online', 'OK', 2)].sort(compareServers).map((s) => s.name),
    ];
  });
  assert.deepEqual(services, ['fail', 'err', 'warn', 'upd', 'ok9', 'ok10', 'new']);
  assert.deepEqual(servers, ['fail', 'off', 'err', 'warn', 'ok', 'pending']);
});

test('a service follows its cause', async () => {
  const [causes, order] = await page.evaluate(async () => {
    const {behindCauses, compareServices, findCauses} = await import('/js/base/status.js');
    const service = (name, status, depends_on, more) => [name, {name, title: name, status, depends_on, ...more}];
    const services = new Map([
      service('app', 'FAILURE', ['db']), service('db', 'FAILURE', []), service('web', 'WARNING', ['app', 'db', 'gone']),
      service('late', 'OK', ['db'], {stale: true}), service('fine', 'OK', ['db']), service('update', 'UPDATE', ['db']),
      service('warned', 'WARNING', []), service('worse', 'FAILURE', ['warned']), service('broken', 'OK', ['warned'], {error: {kind: 'timeout'}}),
      service('kept', 'FAILURE', undefined), service('one', 'FAILURE', ['two']), service('two', 'FAILURE', ['one']),
    ]);
    const found = findCauses(services);
    return [[...found].map(([name, cause]) => `${name}<${cause.name}`).sort(),
            behindCauses([...services.values()].sort(compareServices), found).map(({name}) => name)];
  });
  assert.deepEqual(causes, ['app<db', 'broken<warned', 'late<db', 'web<db']);
  assert.deepEqual(order, ['db', 'app', 'late', 'web', 'kept', 'one', 'two', 'worse', 'warned', 'broken', 'update', 'fine']);
});

test('logging in leads only to paths of this site', async () => {
  const paths = await page.evaluate(async () => {
    const {safeNext} = await import('/js/base/router.js');
    return ['?next=/servers/a%20b?x=1', '', '?next=//evil.example/x', '?next=https://evil.example/', '?next=/%5Cevil.example',
            '?next=javascript:alert(1)', '?next=servers'].map(safeNext);
  });
  assert.deepEqual(paths, ['/servers/a%20b?x=1', '/', '/', '/', '/', '/', '/']);
});

test('a list that is read while events arrive ends in the newest state', async () => {
  const end = await page.evaluate(async () => {
    const {Store} = await import('/js/data/store.js');
    const counts = {OK: 0, UPDATE: 0, WARNING: 0, FAILURE: 0};
    const server = (id, name) => ({id, name, state: 'online', counts, errors: 0, services: 0, worst_status: null});
    let answer;
    const store = new Store({servers: {list: () => new Promise((resolve) => { answer = resolve; })}});
    const reading = store.sync();

    store.apply('server', server('a', 'newer'));
    store.apply('server', server('b', 'created'));
    store.apply('server-removed', {server_id: 'c'});
    const meanwhile = [...store.servers.values()].map((s) => s.name);
    answer([server('a', 'older'), server('c', 'gone')]);
    await reading;
    return [meanwhile, [...store.servers.values()].map((s) => s.name)];
  });
  assert.deepEqual(end, [['newer', 'created'], ['newer', 'created']]);
});

test('the message of a server’s worst service is taken from the service', async () => {
  const said = await page.evaluate(async () => {
    const {Store} = await import('/js/data/store.js');
    const store = new Store({servers: {list: async () => []}});
    const service = (name, status, message) => store.apply('service', {server_id: 'a', service: {name, title: name, status, message, error: null, stale: false}});
    const told = [];
    const look = () => told.push(store.servers.get('a').worst_service?.message ?? null);

    store.apply('server', {id: 'a', worst_service: {name: 'disk', status: 'FAILURE', message: 'full'}});
    service('disk', 'FAILURE', 'fuller');
    look();
    service('other', 'WARNING', 'not that one');
    look();
    service('disk', 'OK', 'the server itself comes with this'); // and carries the worst service of that time
    look();
    store.apply('server', {id: 'a', worst_service: null});
    service('disk', 'FAILURE', 'late');
    look();
    return told;
  });
  assert.deepEqual(said, ['fuller', 'fuller', 'fuller', null]);
});

test('a keyed list moves, adds and removes rows and keeps the focus', async () => {
  const result = await page.evaluate(async () => {
    const {KeyedList, h} = await import('/js/base/dom.js');
    const ul = h('ul', {});
    const list = new KeyedList(ul, (item) => {
      const button = h('button', {}, item);
      return {el: h('li', {}, button), update() {}};
    });
    const shown = () => [...ul.children].map((li) => li.textContent).join('');
    const out = [];

    document.body.append(ul);
    for (const order of ['abcd', 'dabc', 'bd', '', 'xdyb', 'byxdz']) {
      list.sync([...order], (item) => item);
      out.push(shown());
      if (order === 'abcd') ul.lastChild.firstChild.focus();
      if (order === 'dabc') out.push(`focus ${document.activeElement.textContent}`);
    }
    ul.remove();
    return out;
  });
  assert.deepEqual(result, ['abcd', 'dabc', 'focus d', 'bd', '', 'xdyb', 'byxdz']);
});
