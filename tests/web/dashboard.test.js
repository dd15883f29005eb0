/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The dashboard in Chromium against the real server and the real agent. The tests build on one another, in order.

import assert from 'node:assert/strict';
import {after, before} from 'node:test';
import {Suite, journalIsClean, live as isLive, password, readQr, results, tabTo} from './harness.js';
import {CA} from './host.js';

const suite = new Suite('web');
const {host, email} = suite;
const step = suite.step.bind(suite);
const serverName = 'web-test-01';

// Direction overrides, markup, quotes, several scripts, an emoji and a combining mark.
const HOSTILE = '<img src=x onerror="alert(1)"> </p><script>alert(2)</script> "quoted" \'single\' & &amp; ' +
                '\u202eright to left\u202c שלום مرحبا 🚨 e\u0301 {{7*7}} ${x}, with, commas';

let profile, page, speaker, serverUrl;
const agentAvailable = Boolean(host.name);

before(async () => {
  await suite.begin();
  ({profile, page} = suite);
});

after(() => suite.end());

const text = (selector) => page.locator(selector).first().innerText();
const row = (title, p = page) => p.locator('.row', {has: p.locator('.c-name', {hasText: title})});
const live = (p = page) => isLive(p);

// Everything that the site stores in this browser.
function stored() {
  return page.evaluate(() => new Promise((resolve, reject) => {
    const kept = {...localStorage, ...sessionStorage, ...(document.cookie && {cookie: document.cookie})};
    const request = indexedDB.open('ssi');
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const get = request.result.transaction('session').objectStore('session').getAll();
      get.onsuccess = () => {
        request.result.close();
        resolve(get.result.length ? {...kept, secret: get.result.join()} : kept);
      };
    };
  }));
}

async function submit(fields) {
  for (const [id, value] of Object.entries(fields)) await page.fill(`#${id}`, value);
  await page.click('main button[type="submit"]');
}

// The time, in ms since the epoch, at which an element has exactly this text; starts watching immediately.
function shownAt(p, selector, expected) {
  return p.evaluate(([sel, value]) => new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`${value} is not shown`)), 60000);
    const check = () => {
      if (![...document.querySelectorAll(sel)].some((el) => el.textContent === value)) return;
      observer.disconnect();
      resolve(Date.now());
    };
    const observer = new MutationObserver(check);
    observer.observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
    check();
  }), [selector, expected]);
}

step('the page comes with a strict policy and nothing inline', async () => {
  const response = await page.goto(host.url);
  const policy = response.headers()['content-security-policy'] ?? '';
  const html = await response.text();

  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval/);
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/i);
});

step('every address asks a visitor to log in', async () => {
  await page.goto(`${host.url}/servers/srv-x/services/y`);
  await page.waitForURL('**/login?next=**');
  assert.equal(await text('h1'), 'Log in');
  assert.equal(await page.isVisible('.top-nav'), false);
});

step('signing up shows errors at the fields', async () => {
  await page.goto(host.url);
  await page.click('text=Sign up');
  await submit({email: 'nonsense', password: 'short'});
  assert.match(await text('#email-error'), /valid e-mail address/);
  assert.match(await text('#password-error'), /Too short/);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'email');
  assert.equal(await page.getAttribute('#email', 'aria-invalid'), 'true');
});

step('signing up leads to an empty list that leads to registering a server', async () => {
  await submit({email, password});
  await page.waitForSelector('text=No servers yet');
  await live();
  assert.equal(new URL(page.url()).pathname, '/');
  assert.equal(await page.getByRole('link', {name: 'Register your first server'}).getAttribute('href'), '/servers/new');
});

step('tokens: the access token is stored nowhere, the refresh token survives a reload', async () => {
  const before = await stored();

  assert.doesNotMatch(JSON.stringify(before), /eyJ/, 'no JWT');
  await page.reload();
  await page.waitForSelector('text=No servers yet');
  await live();
  assert.notEqual((await stored()).secret, before.secret, 'the refresh token is rotated');
});

step('logging out and in again, and the error for a wrong password', async () => {
  await page.click('#account summary');
  assert.equal(await text('#account-email'), email);
  await page.click('#logout');
  await page.waitForURL('**/login');
  assert.deepEqual(await stored(), {});

  await submit({email, password: 'not the password'});
  await page.waitForSelector('[role="alert"]:visible');
  assert.match(await text('[role="alert"]'), /wrong/);
  profile.expectComplaint(/status of 401.*users\/login/);

  await page.click('text=Sign up');
  await submit({email, password});
  await page.waitForSelector('[role="alert"]:visible');
  assert.match(await text('[role="alert"]'), /already/);
  profile.expectComplaint(/status of 409.*users\/register/);

  await page.click('main .aside >> text=Log in');
  await submit({email, password});
  await page.waitForSelector('text=No servers yet');
});

step('registering a server gives the command to run, and the page sees the agent connect', async () => {
  await page.click('text=Register your first server');
  await page.waitForSelector('#server-name');
  await page.click('main button[type="submit"]');
  assert.match(await text('#server-name-error'), /name/);
  await submit({'server-name': serverName, labels: 'prod, debian prod'});
  await page.waitForSelector('#command');

  const line = await text('#command');
  const [, origin, token] = /^ssictl register (\S+) - <<<(\S+)$/.exec(line) ?? [];
  assert.equal(origin, new URL(host.url).origin);
  assert.equal(await readQr(page), line);
  assert.match(await text('.hint:has(time)'), /expires in/);
  await page.screenshot({path: `${results}/register.png`});
  if (!agentAvailable) return;

  const tls = origin.startsWith('https:') ? [`--ca=${CA}`] : [];
  await host.exec(['ssictl', 'register', origin, token, ...tls]);
  await page.waitForSelector('.wait .conn[data-value="online"]');
  await page.click('.wait a');
  await page.waitForSelector('text=No services yet');
  assert.equal(await text('h1'), serverName);
  serverUrl = page.url();
});

const withAgent = {skip: agentAvailable ? false : 'no agent at SSI_URL'};

step('a new script appears without a reload', async () => {
  speaker = await host.addSpeaker('Web test', 'web-test');
  await row('Web test').waitFor();
  await speaker.say('OK, all is well');
  await page.waitForSelector('.message:text-is("all is well")');
  assert.equal(await row('Web test').locator('.status').getAttribute('data-value'), 'OK');
  assert.equal(await row('Web test').getAttribute('data-status'), 'OK');
}, withAgent);

step('a result is on the page soon after it is printed, without a reload', async (t) => {
  const overview = await profile.newPage();
  const took = {server: [], overview: []};

  await overview.goto(host.url);
  await row(serverName, overview).waitFor();
  await live(overview);
  await page.evaluate(() => { window.notReloaded = true; });

  for (const [i, status] of ['FAILURE', 'WARNING', 'UPDATE', 'OK', 'FAILURE'].entries()) {
    const words = {FAILURE: 'Failure', WARNING: 'Warning', UPDATE: 'Update', OK: 'OK'}[status];
    const message = `change ${i} to ${status}`;
    const seen = shownAt(page, '.message', message);
    const seenThere = shownAt(overview, '.row .status .word', words);

    const [at, there] = await Promise.all([seen, seenThere, speaker.say(`${status}, ${message}`)]);
    const printed = await speaker.printedAt(message);
    took.server.push(at - printed);
    took.overview.push(there - printed);
    assert.equal(await row('Web test').locator('.status').getAttribute('data-value'), status);
  }
  for (const [where, list] of Object.entries(took))
    t.diagnostic(`${where} page, ms from printed to shown: ${list.map((ms) => ms.toFixed(0)).join(' ')}`);
  // On a busy machine one or the other is late.
  for (const list of Object.values(took)) assert.ok(Math.min(...list) < 1000 && Math.min(...list) > -50, `${list}`);
  assert.equal(await page.evaluate(() => window.notReloaded), true);
  assert.match(await overview.title(), /^\(1\)/);
  await overview.screenshot({path: `${results}/overview.png`});
  await overview.close();
}, withAgent);

step('hostile text is shown as text', async () => {
  await speaker.say(`WARNING, ${HOSTILE}`);
  await page.waitForFunction((s) => [...document.querySelectorAll('.message')].some((el) => el.textContent === s), HOSTILE);
  await row('Web test').locator('a').click();
  await page.waitForFunction((s) => document.querySelector('.verdict .message')?.textContent === s, HOSTILE);
  await page.waitForFunction((s) => document.querySelector('.events .message')?.textContent === s, HOSTILE);
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.equal(await page.locator('.verdict .message').getAttribute('dir'), 'auto');
  await page.screenshot({path: `${results}/service-hostile.png`, fullPage: true});
}, withAgent);

step('the service page shows the history of its runs', async () => {
  assert.equal(await text('h1'), 'Web test');
  await page.waitForFunction(() => document.querySelectorAll('.events .row').length >= 7);
  assert.match(await text('.facts-list'), /\*-01-01 00:00:00/);
  const statuses = await page.$$eval('.events .status', (els) => els.slice(0, 4).map((el) => el.dataset.value));
  assert.deepEqual(statuses, ['WARNING', 'FAILURE', 'OK', 'UPDATE']);
  assert.match(await text('.timeline-text'), /Failure .*Warning .*OK /);
  assert.ok(await page.locator('.day rect[data-value="FAILURE"]').count() >= 1);
  await page.click('.changes summary');
  assert.match(await text('.changes li'), /\d\d:\d\d:\d\d: Warning for/);
}, withAgent);

step('an execution error is shown beside the status', async () => {
  await speaker.say('exit');
  await page.waitForSelector('.page > .exec-error:visible');
  assert.match(await text('.page > .exec-error'), /Execution error.*3/s);
  assert.equal(await page.locator('.verdict .status').getAttribute('data-value'), 'WARNING');
  await page.waitForSelector('.events .status[data-value="error"]');

  await page.goBack();
  await row('Web test').locator('.exec-error').waitFor();
  assert.equal(await row('Web test').locator('.status').getAttribute('data-value'), 'WARNING');
  await page.screenshot({path: `${results}/server-error.png`});

  await speaker.say('OK, recovered');
  await page.waitForSelector('.message:text-is("recovered")');
  assert.equal(await row('Web test').locator('.exec-error').isVisible(), false);
}, withAgent);

step('a lost connection is shown, and missed results arrive when it is back', async () => {
  await profile.setOffline(true);
  await page.waitForSelector('#link[data-state="offline"]');
  assert.match(await text('#banner'), /Not live/);
  await speaker.say('UPDATE, said while nobody listened');
  assert.equal(await page.locator('.message:text-is("said while nobody listened")').count(), 0);
  await profile.setOffline(false);
  await page.waitForSelector('.message:text-is("said while nobody listened")');
  await live();
  assert.equal(await page.isVisible('#banner'), false);
  profile.expectComplaint(/ERR_INTERNET_DISCONNECTED/);
}, withAgent);

step('the page survives a restart of the server', async () => {
  await host.exec(['systemctl', 'restart', 'ssi-serverd.service']);
  await live();
  await speaker.say('OK, after the restart');
  await page.waitForSelector('.message:text-is("after the restart")', {timeout: 60000});
  // The stream that ended, and attempts while the server was down.
  profile.expectComplaint(/net::ERR_|status of 50[23]/);
}, withAgent);

step('tabs share one session: it survives many simultaneous reloads, and one log-out ends it in all of them', async () => {
  const tabs = await Promise.all(Array.from({length: 4}, () => profile.newPage()));

  await Promise.all(tabs.map((tab) => tab.goto(host.url)));
  await Promise.all(tabs.map((tab) => live(tab)));
  for (let round = 0; round < 2; round++) {
    await Promise.all([page, ...tabs].map((tab) => tab.reload()));
    await Promise.all([page, ...tabs].map((tab) => live(tab)));
  }

  await tabs[0].click('#account summary');
  await tabs[0].click('#logout');
  await Promise.all([page, ...tabs].map((tab) => tab.waitForSelector('#password')));
  await Promise.all(tabs.map((tab) => tab.close()));
  await submit({email, password});
  await live();
  await page.goto(host.url);
  await row(serverName).waitFor();
});

step('of many hidden tabs one keeps its connection, and each is live once it is visible', async () => {
  const tabs = await Promise.all(Array.from({length: 8}, async () => {
    const tab = await profile.newPage();
    await tab.addInitScript(() => {
      let hidden = true;
      Object.defineProperty(document, 'hidden', {get: () => hidden});
      window.look = () => {
        hidden = false;
        document.dispatchEvent(new Event('visibilitychange'));
      };
    });
    await tab.goto(host.url);
    await row(serverName, tab).waitFor();
    return tab;
  }));
  const liveOnes = async () => {
    const states = await Promise.all(tabs.map((tab) => tab.getAttribute('#link', 'data-state')));
    return tabs.filter((_, i) => states[i] === 'live');
  };

  const [holder, ...others] = await liveOnes();
  assert.deepEqual(others, []);
  tabs.splice(tabs.indexOf(holder), 1);
  await holder.close();
  await Promise.race(tabs.map((tab) => live(tab)));
  assert.equal((await liveOnes()).length, 1, 'another tab has connected');

  const [next] = await liveOnes();
  const looked = tabs.find((tab) => tab !== next);
  await looked.evaluate(() => window.look());
  await live(looked);
  await Promise.all(tabs.map((tab) => tab.close()));
});

step('the keyboard alone is enough', async () => {
  await page.goto(host.url);
  await row(serverName).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await page.keyboard.press('Enter');
  await tabTo(page, (name) => document.activeElement.textContent === name, serverName);
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
  await page.keyboard.press('Enter');
  await row('Web test').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
  await tabTo(page, () => document.activeElement.textContent === 'Web test');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.verdict');
  await page.goBack();
  await page.goBack();
  await row(serverName).waitFor();
}, withAgent);

step('phone, tablet, desk and wall: nothing overflows', async () => {
  const serviceUrl = `${serverUrl}/services/web-test`;

  await speaker.say(`FAILURE, ${HOSTILE} ${'averylongwordwithoutanybreak'.repeat(12)}`);
  for (const [what, url, ready] of [['overview', host.url, '.row'], ['server', serverUrl, '.row'], ['service', serviceUrl, '.events .row'],
                                    ['register', `${host.url}/servers/new`, '#server-name']]) {
    await page.goto(url);
    await page.waitForSelector(ready);
    for (const [name, width, height] of [['phone', 360, 760], ['tablet', 800, 1100], ['desk', 1280, 900], ['wall', 2560, 1440]]) {
      await page.setViewportSize({width, height});
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} at ${width}`);
      await page.screenshot({path: `${results}/hostile-${what}-${name}.png`, fullPage: true});
    }
  }
  await page.setViewportSize({width: 1280, height: 900});
}, {...withAgent, timeout: 120000});

step('the theme can be chosen, and stays chosen', async () => {
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

  await page.goto(host.url);
  const light = await background();
  await page.click('#theme');
  await page.click('#theme');
  assert.equal(await page.getAttribute('#theme', 'aria-label'), 'Theme: dark');
  const dark = await background();
  assert.notEqual(dark, light);
  await page.reload();
  assert.equal(await background(), dark);
  await page.click('#theme');
  assert.equal(await background(), light);
});

step('unknown addresses show an error', async () => {
  await page.goto(`${host.url}/no/such/page`);
  await page.waitForSelector('text=Page not found');
  await page.goto(`${host.url}/servers/srv-none`);
  await page.waitForSelector('text=Server not found');
  await page.goto('about:blank'); // cancels pending requests
  profile.expectComplaint(/status of 404/);
});

step('the daemons logged no errors', async () => {
  await journalIsClean(host);
}, withAgent);
