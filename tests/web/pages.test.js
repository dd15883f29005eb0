/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The pages with many servers: search, appearance, and the state without a connection.

import assert from 'node:assert/strict';
import {after, before} from 'node:test';
import {Suite, inspect, journalIsClean, live, password, results, tabTo, until} from './harness.js';
import {Proxy} from './proxy.js';

const suite = new Suite('pages');
const {host} = suite;
const step = suite.step.bind(suite);
const names = Array.from({length: 14}, (_, i) => `${['web', 'db', 'mail'][i % 3]}-${String(i + 1).padStart(2, '0')}`);
const CUT_MS = process.env.SSI_WEB_SLOW ? 60000 : 4000;
let page, profile, ids;

before(async () => {
  await suite.begin();
  ({page, profile} = suite);
  await suite.signUp();
  await suite.startFleet();
  ({ids} = await suite.fleet.do('servers', {names, services: 12, labels: [['prod', 'eu'], ['prod', 'us'], ['staging'], []], mix: true}));
  await suite.fleet.do('report', {server: 'db-02', items: [
    {service_name: 'check-2', error: {kind: 'timeout', detail: 'timed out after 30 s'}},
    {service_name: 'check-4', status: 'FAILURE', message: 'The last backup is 3 days old'},
  ]});
}, {timeout: 300000});

after(() => suite.end());

const shown = () => page.$$eval('.row .c-name a', (links) => links.map((a) => a.textContent));
const rows = (n) => page.waitForFunction((count) => document.querySelectorAll('.row').length === count, n);

step('the list is searched by words and filtered by label, and the address keeps both', async () => {
  await page.goto(host.url);
  await rows(14);
  await page.fill('.filter input', 'WEB');
  await rows(5);
  assert.match(await page.innerText('.filter-result'), /^5 of 14 servers$/);
  await page.fill('.filter input', 'prod Wéb-0');
  await page.selectOption('.filter select', 'eu');
  const found = await shown();
  assert.ok(found.length > 0 && found.every((name) => name.startsWith('web-0')), found.join());
  await page.reload();
  await rows(found.length);
  assert.deepEqual(await shown(), found);
  await page.fill('.filter input', 'no such thing');
  await page.waitForSelector('text=No server matches');
  await page.click('text=Show all');
  await rows(14);
  assert.equal(new URL(page.url()).search, '');
});

step('a server in trouble shows its problem in one line of text', async () => {
  const row = page.locator('.row', {has: page.locator('.c-name a:text-is("db-02")')});
  const problem = row.locator('.c-problem');
  const says = (text) => page.waitForFunction((s) => [...document.querySelectorAll('.c-problem .words')].some((el) => el.textContent === s), text);
  const report = (...items) => suite.fleet.do('report', {server: 'db-02', items});
  const hostile = `<img src=x onerror=alert(1)> "'&amp; \u202eדסרעווער 🚨\n${'long '.repeat(30)}`;

  assert.match(await problem.innerText(), /^Backups\s+The last backup is 3 days old$/);
  assert.equal(await problem.locator('a').getAttribute('href'), `/servers/${ids['db-02']}/services/check-4`);
  assert.equal(await page.locator('.row[data-status="OK"] .c-problem:visible').count(), 0);
  const height = (await problem.boundingBox()).height;
  await report({service_name: 'check-4', status: 'FAILURE', message: hostile});
  await says(hostile);
  assert.equal((await problem.boundingBox()).height, height);
  assert.equal(await page.locator('main img').count(), 0);
  // A lesser problem is shown once the worse one is over.
  await report({service_name: 'check-4', status: 'OK', message: 'renewed'});
  await says('Execution error: timed out after 30 s');
  await report({service_name: 'check-4', status: 'FAILURE', message: 'The last backup is 3 days old'});
  await says('The last backup is 3 days old');
  await problem.locator('a').click();
  await page.waitForSelector('h1:text-is("Backups")');
  await page.goBack();
  await rows(14);
});

step('a root cause comes before what depends on it', async () => {
  const say = (status, ...services) => suite.fleet.do('report', {server: 'web-13', items: services.map((n) => (
    {service_name: `check-${n}`, status, message: `check ${n}`}))});
  const row = (title) => page.locator('.row', {has: page.locator('.c-name', {hasText: title})});

  await suite.fleet.do('depend', {server: 'web-13', on: {'check-1': ['check-4'], 'check-3': ['check-1', 'check-4'], 'check-4': []}});
  await page.goto(`${host.url}/servers/${ids['web-13']}`);
  await rows(12);
  await live(page);
  await say('FAILURE', 1, 3, 7);
  await say('FAILURE', 4);
  await row('Backups').getByText('2 more depend on it').waitFor();
  assert.deepEqual((await shown()).slice(0, 4), ['Backups', 'Disk Space', 'Load', 'Failed Units']);
  await row('Disk Space').getByText('Probably because of Backups').waitFor();
  await row('Load').getByText('Probably because of Backups').waitFor();
  assert.equal(await row('Failed Units').locator('.cause-line').isVisible(), false);
  await inspect(page, 'cause-server');

  await row('Load').locator('a').click();
  await page.waitForSelector('h1:has-text("Load")');
  const fact = (name) => page.locator('.facts-list > div', {has: page.locator(`dt:text-is("${name}")`)}).locator('dd');
  assert.equal(await fact('Depends on').innerText(), 'Disk Space, Backups');
  assert.equal(await fact('Watches').innerText(), 'check-3.service');
  // Of the script's header, whatever keys there are.
  assert.equal(await fact('Script').innerText(), 'owner web team, version 1.0');
  await inspect(page, 'cause-service');
  await page.click('.cause-line a');
  await page.waitForSelector('h1:has-text("Backups")');
  assert.equal(await page.isVisible('.cause-line'), false);

  await page.goto(host.url);
  await row('web-13').getByText('2 more depend on it').waitFor();
  assert.match(await row('web-13').locator('.c-problem').innerText(), /^Backups\s+check 4/);

  // It recovers: one of them is the cause of the other.
  await page.goto(`${host.url}/servers/${ids['web-13']}`);
  await live(page);
  await say('OK', 4);
  await row('Disk Space').getByText('1 more depends on it').waitFor();
  await row('Load').getByText('Probably because of Disk Space').waitFor();
  await say('OK', 1, 3, 7);
  await page.waitForFunction(() => ![...document.querySelectorAll('.cause-line, .more')].some((el) => el.checkVisibility()));
  await page.goto(host.url);
  await rows(14);
});

step('pressing a count filters the list, and the counts stay current', async () => {
  await page.click('.figures [data-value="FAILURE"] button');
  assert.equal(await page.getAttribute('.figures [data-value="FAILURE"] button', 'aria-pressed'), 'true');
  const failing = await shown();
  assert.ok(failing.includes('db-02') && failing.length < 14);
  await suite.fleet.do('report', {server: 'mail-03', items: [{service_name: 'check-5', status: 'FAILURE', message: 'expired'}]});
  await rows(failing.length + 1);
  await suite.fleet.do('report', {server: 'mail-03', items: [{service_name: 'check-5', status: 'OK', message: 'renewed'}]});
  await rows(failing.length);
  await page.click('.figures [data-value="FAILURE"] button');
  await rows(14);
});

step('the services of a server are found by their messages', async () => {
  await page.click('.row a:text-is("db-02")');
  await rows(12);
  await page.fill('.filter input', 'backup days');
  await rows(1);
  assert.deepEqual(await shown(), ['Backups']);
  await page.click('text=Show all');
  await page.click('.count[data-value="errors"]');
  await rows(1);
  assert.deepEqual(await shown(), ['Memory']);
  await page.goBack();
  await rows(14);
});

step('all controls are reached with the keyboard', async () => {
  await page.goto(host.url);
  await rows(14);
  await tabTo(page, () => document.activeElement.closest('[data-value="FAILURE"]'));
  await page.keyboard.press('Space');
  await page.waitForFunction(() => document.querySelectorAll('.row').length < 14);
  await tabTo(page, () => document.activeElement.type === 'search');
  await page.keyboard.type('db-02');
  await rows(1);
  await tabTo(page, () => document.activeElement.textContent === 'Show all');
  await page.keyboard.press('Enter');
  await rows(14);
  assert.equal(await page.evaluate(() => document.activeElement.type), 'search');
});

step('every page looks right and axe-core finds nothing', async () => {
  const pages = [['overview', '/', '.row'], ['server', `/servers/${ids['db-02']}`, '.row'],
                 ['service', `/servers/${ids['db-02']}/services/check-4`, '.events .row'], ['register', '/servers/new', '#server-name'],
                 ['nowhere', '/no/such/page', 'h1']];
  for (const [name, path, ready] of pages) {
    await page.goto(host.url + path);
    await page.waitForSelector(ready);
    await live(page);
    await inspect(page, name);
  }
}, {timeout: 300000});

step('the page can be installed', async () => {
  await page.goto(host.url);
  const manifest = await page.evaluate(async () => (await fetch(document.querySelector('link[rel="manifest"]').href)).json());
  assert.equal(manifest.display, 'standalone');
  for (const {src, sizes} of manifest.icons.filter((i) => i.type === 'image/png')) {
    const size = await page.evaluate(async (url) => {
      const image = new Image();
      image.src = url;
      await image.decode();
      return `${image.naturalWidth}x${image.naturalHeight}`;
    }, src);
    assert.equal(size, sizes);
  }
  assert.equal(await page.evaluate(async () => (await navigator.serviceWorker.ready).active.scriptURL), `${host.url}/sw.js`);
});

step('without a connection the page shows the last known state, and says so', async () => {
  await page.goto(`${host.url}/servers/${ids['db-02']}`);
  await rows(12);
  await live(page);
  await page.evaluate(() => { // the state is stored at the latest when the page is hidden
    Object.defineProperty(document, 'hidden', {value: true});
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await until(page, (id) => new Promise((resolve) => {
    indexedDB.open('ssi').onsuccess = ({target: {result: db}}) => {
      db.transaction('last-known').objectStore('last-known').getAllKeys().onsuccess = ({target}) => {
        db.close();
        resolve(target.result.includes(id) && target.result.includes('servers'));
      };
    };
  }), ids['db-02']);

  await profile.setOffline(true);
  await page.reload();
  await rows(12);
  await page.waitForSelector('#link[data-state="offline"]');
  assert.match(await page.innerText('#banner'), /Not live\. Showing the state as of \d\d:\d\d:\d\d\. This device is offline\./);
  await page.click('.crumbs a');
  await rows(14);
  await inspect(page, 'offline');
  await profile.setOffline(false);
  await live(page);
  assert.equal(await page.isVisible('#banner'), false);
  profile.expectComplaint(/ERR_INTERNET_DISCONNECTED/);
});

// A cut of a minute takes a minute: see CUT_MS.
step('a cut connection comes back with nothing missed, and the page shows its state in between', async (t) => {
  const proxy = await Proxy.start(host.url);
  t.after(() => proxy.stop());
  const tab = await profile.newPage();
  const state = () => tab.getAttribute('#link', 'data-state');
  const truth = () => page.evaluate(() => [...document.querySelectorAll('.row')].map((r) => r.innerText.replace(/\d+ s ago/, '')));
  const report = (server, n, status, message) => suite.fleet.do('report', {server, items: [{service_name: `check-${n}`, status, message}]});

  await tab.goto(`${proxy.url}/login`);
  await tab.fill('#email', suite.email);
  await tab.fill('#password', password);
  await tab.click('main button[type="submit"]');
  await tab.waitForSelector('.row');
  await live(tab);
  await page.goto(host.url);
  await rows(14);
  await live(page);

  for (const [how, ms] of [['cut', CUT_MS], ...(process.env.SSI_WEB_SLOW ? [['swallow', CUT_MS]] : [])]) {
    const begun = Date.now();
    proxy[how]();
    // A cut is noticed immediately; silence, when the server should have sent something.
    await tab.waitForSelector('#link[data-state="reconnecting"]', {timeout: 50000});
    assert.match(await tab.innerText('#banner'), /^Not live\. Showing the state as of \d\d:\d\d:\d\d\. (Next attempt in|Connecting)/);
    await report('web-01', 5, 'FAILURE', `missed while ${how}`);
    await report('db-05', 1, 'WARNING', 'came and went');
    await report('db-05', 1, 'OK', 'came and went');
    await report('mail-06', 3, 'UPDATE', 'stays');
    await page.waitForTimeout(Math.max(0, ms - (Date.now() - begun)));
    assert.equal(await state(), 'reconnecting');
    const again = tab.getByRole('button', {name: 'Try now'});
    if (how === 'cut') await again.waitFor();
    proxy.mend();
    // It may have come back by itself.
    if (how === 'cut') await again.click({timeout: 5000}).catch(() => {});
    await tab.waitForSelector('#link[data-state="live"]', {timeout: 100000});
    await tab.waitForFunction((s) => [...document.querySelectorAll('.c-problem .words')].some((el) => el.textContent === s), `missed while ${how}`);
    assert.equal(await tab.isVisible('#banner'), false);
    assert.deepEqual(await tab.evaluate(() => [...document.querySelectorAll('.row')].map((r) => r.innerText.replace(/\d+ s ago/, ''))), await truth());
    await report('web-01', 5, 'OK', 'well');
    await tab.waitForFunction(() => ![...document.querySelectorAll('.c-problem .words')].some((el) => el.textContent.startsWith('missed')));
  }
  profile.expectComplaint(/net::ERR_/);
  await tab.close();
}, {timeout: 180000 + 2 * CUT_MS + 200000});

step('the printed page has the rows and their messages, and no controls', async () => {
  await page.goto(`${host.url}/servers/${ids['db-02']}`);
  await rows(12);
  await page.emulateMedia({media: 'print', colorScheme: 'dark'});
  const paper = await page.evaluate(() => ({
    shown: [...document.querySelectorAll('header, #banner, .filter, .menu, button')].filter((el) => el.checkVisibility()).map((el) => el.textContent),
    rows: [...document.querySelectorAll('.row')].filter((el) => el.checkVisibility({contentVisibilityAuto: true})).length,
    ink: getComputedStyle(document.body).color,
    paper: getComputedStyle(document.body).backgroundColor,
  }));
  // Counts are buttons, but are printed unless they are 0.
  assert.deepEqual(paper.shown.filter((text) => !/^[1-9]\d* /.test(text)), []);
  assert.equal(paper.rows, 12);
  const light = (color) => color.match(/[\d.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) / 3;
  assert.ok(light(paper.ink) < 80 && light(paper.paper) > 200, `${paper.ink} on ${paper.paper}, although the screen is dark`);
  await page.screenshot({path: `${results}/print.png`, fullPage: true});
  await page.emulateMedia({media: null, colorScheme: 'light'});
});

step('reduced motion is respected', async () => {
  const moving = () => page.evaluate(() => document.getAnimations().filter((a) => a.effect.getComputedTiming().duration > 1).length);
  const change = async (message) => {
    await suite.fleet.do('report', {server: 'db-02', items: [{service_name: 'check-6', status: message === 'on' ? 'WARNING' : 'OK', message}]});
    await page.waitForFunction((s) => [...document.querySelectorAll('.message')].some((el) => el.textContent === s), message);
    return moving();
  };

  await page.goto(`${host.url}/servers/${ids['db-02']}`);
  await rows(12);
  await live(page);
  assert.ok(await change('on') > 0, 'a change is seen to happen');
  await page.emulateMedia({reducedMotion: 'reduce'});
  await page.reload();
  await rows(12);
  await live(page);
  assert.equal(await change('off'), 0);
  await page.emulateMedia({reducedMotion: null});
});

step('the worker stores no answers of the API, and log-out deletes the known state', async () => {
  const kept = () => page.evaluate(async () => {
    const paths = [];
    for (const name of await caches.keys()) {
      for (const request of await (await caches.open(name)).keys()) paths.push(new URL(request.url).pathname);
    }
    const known = await new Promise((resolve) => {
      indexedDB.open('ssi').onsuccess = ({target: {result: db}}) => {
        db.transaction('last-known').objectStore('last-known').getAllKeys().onsuccess = ({target}) => {
          db.close();
          resolve(target.result);
        };
      };
    });
    return {paths, known};
  });

  const before = await kept();
  assert.ok(before.paths.includes('/js/main.js'));
  assert.deepEqual(before.paths.filter((path) => path.startsWith('/api/')), []);
  assert.ok(before.known.length > 0);
  await page.click('#account summary');
  await page.click('#logout');
  await page.waitForURL('**/login**');
  assert.deepEqual((await kept()).known, []);
  for (const [name, path] of [['login', '/login'], ['signup', '/signup']]) {
    await page.goto(host.url + path);
    await page.waitForSelector('#password');
    await inspect(page, name);
  }
});

step('the daemons logged no errors', () => journalIsClean(host));
