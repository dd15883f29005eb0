/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Notifications, end to end: a server that sends e-mail, to receivers that the tests run, and that soon considers results
// overdue. Chromium's own subscriptions need Google's push service, so the tests play the browser's part of it; what
// the server sends is decrypted and delivered to the real service worker.

import assert from 'node:assert/strict';
import {after, before} from 'node:test';
import {Helper} from './helper.js';
import {Suite, inspect, journalIsClean, live, password, results} from './harness.js';

const suite = new Suite('notify');
const {host} = suite;
const step = (name, f, options) => suite.step(name, f, {skip: host.name ? false : 'the server at SSI_URL is not ours to set up', ...options});
const CONF = '/etc/ssi/serverd.conf';
const HOSTILE = '<img src=x onerror=alert(1)></script> "q" \' & \u202eevil\u202c שלום 🚨 {{server}}';
let page, profile, sinks, where, ids, confBefore;

const button = (name) => page.getByRole('button', {name, exact: true});
const closed = () => page.waitForFunction(() => !document.querySelector('dialog'));
const report = (status, message, service = 'check-1') => suite.fleet.do('report', {server: 'told', items: [{service_name: service, status, message}]});
const channelRow = (name) => page.locator('.plain tbody tr', {hasText: name});

before(async () => {
  if (!host.name) return;
  sinks = new Helper('sinks.py');
  where = await sinks.answer();
  confBefore = await host.exec(['bash', '-c', `mkdir -p /etc/ssi; cat ${CONF} 2>/dev/null || true`]);
  await host.write('/etc/ssi/mail-ca.pem', where.ca);
  await host.write(CONF, `${confBefore}
SSI_SMTP_URL=${where.smtp}
SSI_SMTP_FROM=SSI <ssi@example.org>
SSI_SMTP_CA=/etc/ssi/mail-ca.pem
SSI_PUBLIC_URL=${host.url}
SSI_ALLOW_PRIVATE_TARGETS=yes
SSI_STALE_GRACE=1
`);
  await host.exec(['systemctl', 'restart', 'ssi-serverd.service']);
  await suite.begin({permissions: ['notifications']});
  ({page, profile} = suite);
  await profile.exposeFunction('subscribeInTest', (key) => sinks.do('subscribe', {key}));
  await profile.addInitScript(() => {
    let subscription = null;
    PushManager.prototype.getSubscription = async () => subscription;
    PushManager.prototype.subscribe = async ({applicationServerKey}) => {
      const data = await window.subscribeInTest(applicationServerKey);
      subscription = {toJSON: () => data, unsubscribe: async () => { subscription = null; }};
      return subscription;
    };
  });
  await suite.signUp(async () => (await sinks.do('mails', {to: suite.email, n: 1})).text);
  await suite.startFleet();
  ({ids} = await suite.fleet.do('servers', {names: ['told', 'away'], services: 3}));
}, {timeout: 300000});

after(async () => {
  await suite.end();
  if (!host.name) return;
  await sinks?.stop();
  await host.write(CONF, confBefore ?? '');
  await host.exec(['systemctl', 'restart', 'ssi-serverd.service']);
});

async function addChannel(type, name, config) {
  await button('Add a channel').click();
  await page.selectOption('#channel-type', type);
  await page.fill('#channel-name', name);
  for (const [key, value] of Object.entries(config)) await page.fill(`#config-${key}`, value);
  await button('Add').click();
  await closed();
  await channelRow(name).waitFor();
}

step('the test button shows the result of the test', async () => {
  await page.goto(`${host.url}/notifications`);
  await addChannel('webhook', 'Hook <b>', {url: `${where.http}/hook`});
  await button('Test Hook <b>').click();
  await channelRow('Hook').getByText('Delivered.').waitFor();
  const {bodies: [body]} = await sinks.do('hooks', {path: '/hook', n: 1});
  assert.match(body.subject, /test/i);

  await button('Test Hook <b>').click();
  await channelRow('Hook').getByText(/Too many attempts/).waitFor();
  profile.expectComplaint(/status of 429/);

  await addChannel('ntfy', 'Broken', {url: where.http, topic: 'broken'});
  await sinks.do('answers', {list: [500]});
  await button('Test Broken').click();
  await channelRow('Broken').getByText('Not delivered: The receiver answered 500.').waitFor();
  await button('Delete Broken').click();
  await button('Delete Hook <b>').click();
  await page.waitForSelector('.part:has(#channels) >> text=No channels.');
});

step('a channel with a new address asks for its secrets again', async () => {
  await addChannel('matrix', 'Room', {url: where.http, room: '!r:example.org', token: 'syt_0123456789abcdef'});
  await button('Change Room').click();
  const save = () => page.getByRole('dialog').getByRole('button', {name: 'Save'}).click();
  const url = page.getByLabel('Homeserver'), token = page.getByLabel('Access token');
  const masked = await token.inputValue();
  assert.match(masked, /^••••/);
  // It is said before anything is lost, also to a screen reader.
  assert.match(await page.innerText(`#${(await url.getAttribute('aria-describedby')).split(' ')[0]}`), /If you change this, enter the access token again\./);
  await url.fill(`${where.http}/other`);
  assert.equal(await token.inputValue(), '');
  await inspect(page, 'channel-moved');
  await save();
  await page.getByText('Enter this again: what is stored was for the old address.').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'config-token');
  await url.fill(where.http);
  assert.equal(await token.inputValue(), masked);
  await url.fill(`${where.http}/other`);
  await token.fill('syt_fresh_0123456789');
  await save();
  await closed();
  await button('Delete Room').click();
  await page.waitForSelector('.part:has(#channels) >> text=No channels.');
});

step('an e-mail address is confirmed, and then gets notifications as text', async () => {
  const address = `ops-${suite.email}`;

  await addChannel('email', 'Post', {address});
  await channelRow('Post').getByText('Waiting for the address to be confirmed').waitFor();
  const asked = await sinks.do('mails', {to: address, n: 1});
  const [link] = /https:\S+verify-email\S+/.exec(asked.text);
  const other = await profile.newPage();
  await other.goto(link);
  await other.waitForSelector('text=The address is confirmed');
  await other.close();

  await report('FAILURE', HOSTILE);
  const told = await sinks.do('mails', {to: address, n: 2});
  assert.match(told.subject, /^\[SSI\] FAILURE: .* on told$/);
  assert.equal(told.text.split('\n')[0].trimEnd(), HOSTILE);
  await report('OK', 'well again');
  await page.reload();
  await page.waitForSelector('.part:has(#recent) tbody tr');
  await inspect(page, 'told');
  await button('Delete Post').click();
  await page.waitForSelector('.part:has(#channels) >> text=No channels.');
});

step('a push message is decrypted, shown as text by the service worker, and links to its page', async () => {
  await page.reload();
  await button('Show notifications').click();
  await page.waitForSelector('text=Notifications are shown');
  await report('FAILURE', HOSTILE);
  const {messages: [message]} = await sinks.do('pushed', {n: 1});
  assert.equal(message.body.split('\n')[0], HOSTILE);

  const cdp = await profile.newCDPSession(page);
  const registered = new Promise((resolve) => cdp.on('ServiceWorker.workerRegistrationUpdated', ({registrations}) => {
    const mine = registrations.find((r) => !r.isDeleted && r.scopeURL === `${host.url}/`);
    if (mine) resolve(mine.registrationId);
  }));
  await cdp.send('ServiceWorker.enable');
  const registrationId = await registered;
  const shown = () => page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications())
    .map(({title, body, tag, data, requireInteraction}) => ({title, body, tag, path: data.path, requireInteraction})));
  // Chromium may lose a message that arrives while the worker is starting.
  const deliver = async (data, isThere) => {
    for (let k = 0; k < 10; k++) {
      await cdp.send('ServiceWorker.deliverPushMessage', {origin: host.url, registrationId, data});
      for (const end = Date.now() + 2000; Date.now() < end; await page.waitForTimeout(25)) if ((await shown()).some(isThere)) return;
    }
    assert.fail(`it was delivered ten times, and is not shown: ${data}`);
  };
  await deliver(JSON.stringify(message), (n) => n.title === message.title);
  assert.deepEqual(await shown(), [{title: message.title, body: message.body, tag: message.tag, requireInteraction: true,
                                    path: `/servers/${ids.told}/services/check-1`}]);

  // A later message with the same tag replaces it; an unreadable one still shows something.
  await report('OK', 'well again');
  const {messages: [, second]} = await sinks.do('pushed', {n: 2});
  await deliver(JSON.stringify({...second, url: 'https://elsewhere.example/x'}), (n) => n.body === second.body);
  assert.deepEqual((await shown()).map((n) => n.path), ['/'], 'no address of another site');
  await deliver('not JSON', (n) => n.title === 'Service Status Indicator');

  // To the server, this is another browser of the account.
  await page.reload();
  await button('Show notifications').click();
  await page.waitForSelector('text=Notifications are shown');
  await page.getByRole('button', {name: /^Test /}).click();
  await page.waitForSelector('text=Delivered to 2 browsers.');
  await button('Stop').click();
  await page.waitForSelector('text=Notifications can be shown');
});

step('clicking a notification opens its page, in an existing window, and never another site', async () => {
  const worker = profile.serviceWorkers().find((w) => w.url() === `${host.url}/sw.js`);
  // The effects of a click. The event is synthetic, so waitUntil() would throw and the browser neither focuses nor opens
  // windows for it: these functions are replaced.
  const press = (title) => worker.evaluate(async (name) => {
    const mine = async () => (await registration.getNotifications()).filter((n) => n.title === name);
    const deeds = [];
    const {focus} = WindowClient.prototype;
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const [notification] = await mine();
    let done;

    WindowClient.prototype.focus = async function () {
      deeds.push(['focus', this.url]);
      return this;
    };
    clients.openWindow = async (address) => deeds.push(['open', new URL(address, location.href).href]);
    try {
      const event = new NotificationEvent('notificationclick', {notification});
      event.waitUntil = (promise) => {
        done = promise;
      };
      dispatchEvent(event);
      await Promise.race([done, pause(10000).then(() => Promise.reject(new Error('the click has no effect')))]);
    } finally {
      WindowClient.prototype.focus = focus;
      delete clients.openWindow;
    }
    return {deeds, left: (await mine()).length};
  }, title);
  const service = `${host.url}/servers/${ids.told}/services/check-1`;
  const addresses = {one: service, two: 'https://elsewhere.example/x', three: 'javascript:alert(1)', four: `${host.url}//elsewhere.example/x`};

  await page.goto(`${host.url}/silences`);
  await live(page);
  // Delivery was tested above; these are handed to the worker directly, because Chromium may lose some on the way.
  await worker.evaluate(async (messages) => {
    for (const message of messages) {
      const event = new PushEvent('push', {data: JSON.stringify(message)});
      let done;

      event.waitUntil = (promise) => {
        done = promise;
      };
      dispatchEvent(event);
      await done;
    }
  }, [...Object.entries(addresses), ['five', addresses.one], ['six', addresses.four]].map(([title, url]) => ({title, url, tag: title})));

  assert.deepEqual(await press('one'), {deeds: [['focus', service]], left: 0});
  await page.waitForSelector('.verdict');
  assert.equal(page.url(), service);
  for (const [title, path] of [['two', '/'], ['three', '/'], ['four', '//elsewhere.example/x']]) {
    await live(page);
    assert.deepEqual((await press(title)).deeds, [['focus', host.url + path]]);
  }
  // Without a window.
  await page.goto('about:blank');
  assert.deepEqual((await press('five')).deeds, [['open', service]]);
  assert.deepEqual((await press('six')).deeds, [['open', addresses.four]]);
  await page.goto(`${host.url}/notifications`);
  await live(page);
});

step('overdue, rebooting and offline are told apart', async () => {
  const late = {service_name: 'check-0', title: 'System Updates', schedule: '*:0/05:00', timeout_ms: 1, enabled: true};
  const row = (name) => page.locator('.row', {has: page.locator(`.c-name a:text-is("${name}")`)});

  await page.goto(host.url);
  await live(page);
  await suite.fleet.do('send', {server: 'told', type: 'inventory', payload: {services: [{...late, next_run: new Date(Date.now() - 5000).toISOString()}]}});
  await row('told').locator('.late').getByText('1 overdue').waitFor();
  assert.match(await row('told').locator('.c-problem').innerText(), /System Updates\s+Overdue/);
  await suite.fleet.do('send', {server: 'away', type: 'going_down', payload: {}});
  await suite.fleet.do('hang_up', {server: 'away'});
  await row('away').locator('.conn[data-value="rebooting"]').waitFor();
  assert.match(await page.innerText('.headline'), /1 rebooting[\s\S]*1 overdue/);
  await inspect(page, 'states');
  await page.click('.headline [data-value="rebooting"]');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
  await row('away').locator('.c-name a').click();
  await page.waitForSelector('.notice:has-text("is rebooting, as planned")');
  await page.screenshot({path: `${results}/rebooting.png`});

  await page.goto(`${host.url}/servers/${ids.told}`);
  await row('System Updates').locator('.late-line').waitFor();
  await page.click('.count[data-value="stale"]');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
  await row('System Updates').locator('.c-name a').click();
  await page.waitForSelector('.page > .late-line:visible');
  await inspect(page, 'late');
  await suite.fleet.do('send', {server: 'told', type: 'inventory', payload: {services: [{...late, next_run: new Date(Date.now() + 300000).toISOString()}]}});
  await report('OK', 'here it is', 'check-0');
  await page.waitForFunction(() => !document.querySelector('.page > .late-line')?.checkVisibility());
});

step('a forgotten password is reset by e-mail, once, and every device is logged out', async () => {
  const other = await profile.browser().newContext({ignoreHTTPSErrors: true});
  const theirs = await other.newPage();

  await theirs.goto(`${host.url}/login`);
  await theirs.click('text=Forgot your password?');
  await theirs.fill('#email', suite.email);
  await theirs.click('main button[type="submit"]');
  await theirs.waitForSelector('text=If there is an account with this address');
  const {text} = await sinks.do('mails', {to: suite.email, n: 2}); // the first was the address's confirmation
  const [link] = /https:\S+reset-password\S+/.exec(text);
  const asked = [];
  theirs.on('request', (r) => asked.push(r.url(), r.headers().referer ?? ''));
  await theirs.goto(link);
  await theirs.fill('#new-password', 'short');
  await theirs.click('main button[type="submit"]');
  await theirs.waitForSelector('#new-password-error >> text=Too short');
  await theirs.fill('#new-password', `${password} renewed`);
  await theirs.click('main button[type="submit"]');
  await theirs.waitForSelector('text=Review what else the account has');
  assert.equal(asked.some((url) => url.replace(/#.*/, '').includes('ssi_mail_')), false, 'the token is in no address');
  await theirs.click('main a:text-is("Log in")');
  await page.waitForURL('**/login**'); // the open page has been logged out
  profile.expectComplaint(/status of 401/);
  for (const [secret, good] of [[password, false], [`${password} renewed`, true]]) {
    await theirs.fill('#email', suite.email);
    await theirs.fill('#password', secret);
    await theirs.click('main button[type="submit"]');
    await theirs.waitForSelector(good ? '.row' : '[role="alert"]:visible');
  }
  await theirs.goto(link);
  await theirs.fill('#new-password', `${password} once more`);
  await theirs.click('main button[type="submit"]');
  await theirs.waitForSelector('[role="alert"]:visible >> text=used or expired');
  await other.close();
});

step('the daemons logged no errors', () => journalIsClean(host));
