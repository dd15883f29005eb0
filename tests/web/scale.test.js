/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The dashboard's speed for an account with 500 servers and a server with 1,000 services. Runs only when SSI_WEB_SCALE
// is set, because it takes minutes and fails on a busy machine:
//   SSI_WEB_SCALE=1 npm test scale.test.js

import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {launch, openProfile} from './browser.js';
import {startFleet} from './fleet.js';
import {Host} from './host.js';

const PAINT_MS = 1000;
const UPDATE_MS = 100;
const EVENTS = 10000;
const wanted = Boolean(process.env.SSI_WEB_SCALE);
const host = new Host();
const email = `scale-${process.pid}-${Date.now()}@example.org`;
const password = 'correct horse battery staple';
const names = Array.from({length: 500}, (_, i) => `srv-${String(i).padStart(3, '0')}`);

let browser, profile, page, fleet, ids;

before(async () => {
  if (!wanted) return;
  browser = await launch();
  profile = await openProfile(browser, {viewport: {width: 1280, height: 900}});
  await profile.addInitScript(watch);
  page = await profile.newPage();
  await page.goto(`${host.url}/signup`);
  await page.fill('#email', email);
  await page.fill('#password', password);
  await page.click('main button[type="submit"]');
  await page.waitForSelector('text=No servers yet');
  fleet = await startFleet(email, password);
  ({ids} = await fleet.do('servers', {names, services: 6, labels: [['prod', 'eu'], ['prod', 'us'], ['staging'], []], mix: true}));
  Object.assign(ids, (await fleet.do('servers', {names: ['big'], services: 1000, mix: true})).ids);
}, {timeout: 300000});

after(async () => {
  await fleet?.stop();
  await browser?.close();
});

// In the page: records when text arrived over the stream, when the document first had it, and when it was painted.
function watch() {
  const read = ReadableStreamDefaultReader.prototype.read;
  const decoder = new TextDecoder();

  window.came = new Map(); // word: ms
  ReadableStreamDefaultReader.prototype.read = async function (...args) {
    const result = await read.apply(this, args);
    const at = performance.now();
    if (result.value) {
      for (const [word] of decoder.decode(result.value).matchAll(/probe-\d+/g)) if (!window.came.has(word)) window.came.set(word, at);
    }
    return result;
  };
  // Resolves with the time at which the frame in which f() became true has been painted.
  window.painted = (f) => new Promise((resolve) => {
    const check = () => {
      if (!f()) return;
      observer.disconnect();
      requestAnimationFrame(() => {
        const {port1, port2} = new MessageChannel();
        port1.onmessage = () => resolve(performance.now());
        port2.postMessage(0);
      });
    };
    const observer = new MutationObserver(check);
    observer.observe(document, {subtree: true, childList: true, characterData: true});
    check();
  });
  window.firstRow = window.painted(() => document.querySelector('main .row'));
}

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

for (const [what, path] of [['500 servers', () => '/'], ['1,000 services', () => `/servers/${ids.big}`]]) {
  test(`${what}: the first useful paint`, {skip: !wanted, timeout: 60000}, async (t) => {
    const took = [];
    for (let i = 0; i < 5; i++) {
      await page.goto(host.url + path());
      took.push(await page.evaluate(() => window.firstRow));
      await page.waitForSelector('#link[data-state="live"]');
    }
    t.diagnostic(`ms: ${took.map((ms) => ms.toFixed(0)).join(' ')}`);
    assert.ok(Math.max(...took) < PAINT_MS, `${took}`);
  });
}

for (const [what, path, server] of [['500 servers', () => '/', 'srv-250'], ['1,000 services', () => `/servers/${ids.big}`, 'big']]) {
  test(`${what}: an update is on screen`, {skip: !wanted, timeout: 60000}, async (t) => {
    const took = [];
    await page.goto(host.url + path());
    await page.waitForSelector('#link[data-state="live"]');
    await page.evaluate(() => window.firstRow);
    for (let i = 0; i < 30; i++) {
      const word = `probe-${Date.now()}${i}`;
      const status = i % 2 ? 'OK' : 'FAILURE';
      const shown = page.evaluate(async ([w, s, big]) => {
        const at = await window.painted(big
          ? () => [...document.querySelectorAll('.message')].some((el) => el.textContent === w)
          : () => [...document.querySelectorAll('.row')].find((el) => el.querySelector('a').textContent === 'srv-250')?.dataset.status === s);
        return at - window.came.get(w);
      }, [word, status, server === 'big']);
      await fleet.do('report', {server, items: [{service_name: 'check-4', status, message: word}]});
      // The overview's stream carries the service as well as the server.
      took.push(await shown);
    }
    t.diagnostic(`ms: ${took.map((ms) => ms.toFixed(0)).join(' ')}; median ${median(took).toFixed(0)}`);
    assert.ok(Math.max(...took) < UPDATE_MS, `${took}`);
  });
}

test('10,000 events do not increase the memory in use', {skip: !wanted, timeout: 300000}, async (t) => {
  const cdp = await profile.newCDPSession(page);
  const measure = async () => {
    for (let i = 0; i < 3; i++) await cdp.send('HeapProfiler.collectGarbage');
    const {metrics} = await cdp.send('Performance.getMetrics');
    const of = (name) => metrics.find((m) => m.name === name).value;
    return {heap: of('JSHeapUsedSize') / 1024, nodes: of('Nodes'), listeners: of('JSEventListeners'), script: of('ScriptDuration'), task: of('TaskDuration')};
  };

  await cdp.send('Performance.enable');
  for (const path of ['/', `/servers/${ids.big}`]) {
    await page.goto(host.url + path);
    await page.waitForSelector('#link[data-state="live"]');
    await fleet.do('storm', {count: 4000, per_second: 500});
    const before = await measure();
    await fleet.do('storm', {count: EVENTS, per_second: 500});
    await page.waitForTimeout(1500);
    const after = await measure();
    t.diagnostic(`${path}: heap ${before.heap.toFixed(0)} -> ${after.heap.toFixed(0)} KiB, nodes ${before.nodes} -> ${after.nodes}, ` +
                 `${(after.script - before.script).toFixed(1)} s of scripts, ${(after.task - before.task).toFixed(1)} s of tasks`);
    assert.ok(after.heap < before.heap * 1.1 + 1024, 'heap');
    assert.ok(after.nodes < before.nodes * 1.1 + 500, 'nodes');
    assert.ok(after.listeners < before.listeners * 1.1 + 100, 'listeners');
  }
  assert.deepEqual(profile.complaints, []);
});
