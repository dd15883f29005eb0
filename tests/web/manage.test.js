/* SPDX-License-Identifier: LGPL-2.1-or-later */
// What users change: the account, servers, silences, notifications. And the pages without an account.

import assert from 'node:assert/strict';
import {after, before} from 'node:test';
import {openProfile} from './browser.js';
import {SIZES, Suite, inspect, journalIsClean, live, password, readQr} from './harness.js';

const suite = new Suite('manage');
const {host} = suite;
const step = suite.step.bind(suite);
let page, profile, ids, serverUrl;

before(async () => {
  await suite.begin();
  ({page, profile} = suite);
  await suite.signUp();
  await suite.startFleet();
  ({ids} = await suite.fleet.do('servers', {names: ['one', 'two'], services: 4, labels: [['prod'], ['staging']]}));
  await suite.fleet.do('report', {server: 'one', items: [{service_name: 'check-1', status: 'FAILURE', message: '<b>full</b> \u202edesrever'}]});
  serverUrl = `${host.url}/servers/${ids.one}`;
}, {timeout: 300000});

after(() => suite.end());

const button = (name) => page.getByRole('button', {name, exact: true});
const dialog = () => page.locator('dialog[open]');
const closed = () => page.waitForFunction(() => !document.querySelector('dialog'));

async function manage(entry) {
  await page.click('.page-head .menu summary');
  await button(entry).click();
  await dialog().waitFor();
}

step('a server gets a new name and labels, on every open page', async () => {
  const other = await profile.newPage();
  await other.goto(host.url);
  await live(other);
  await page.goto(serverUrl);
  await page.waitForSelector('.row');
  await live(page);
  await manage('Name and labels …');
  await page.fill('#edit-name', '');
  await button('Save').click();
  assert.match(await page.innerText('#edit-name-error'), /Give the server a name/);
  await inspect(page, 'dialog');
  await page.fill('#edit-name', 'first');
  await page.fill('#edit-labels', 'prod, new');
  await page.keyboard.press('Enter');
  await closed();
  await page.waitForSelector('h1:text-is("first")');
  await other.waitForSelector('.c-name a:text-is("first")');
  assert.deepEqual(await page.$$eval('.page-head .labels li', (l) => l.map((el) => el.textContent)), ['prod', 'new']);
  await other.close();
});

step('Escape closes a dialog and returns the focus', async () => {
  await page.focus('.page-head .menu summary');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await dialog().waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'edit-name');
  await page.keyboard.press('Escape');
  await closed();
});

step('a failure is acknowledged with a reason, until it recovers', async () => {
  await page.goto(`${serverUrl}/services/check-1`);
  await button('Acknowledge').click();
  await page.fill('#ack-reason', 'making room <i>');
  await page.keyboard.press('Enter');
  await closed();
  await page.waitForSelector('.notice:visible >> text=making room <i>');
  await inspect(page, 'acknowledged');
  await page.click('.crumbs a:last-of-type');
  await page.waitForSelector('.tag:visible:text-is("Acknowledged")');
  await suite.fleet.do('report', {server: 'one', items: [{service_name: 'check-1', status: 'OK', message: 'room'}]});
  await page.waitForFunction(() => ![...document.querySelectorAll('.tag')].some((el) => el.textContent === 'Acknowledged' && !el.hidden));
});

step('silences are created on the pages of their targets and ended in the list', async () => {
  await page.goto(serverUrl);
  await page.waitForSelector('.row');
  await manage('Silence …');
  await button('Silence').click();
  assert.match(await page.innerText('#silence-reason-error'), /Give a reason/);
  await page.fill('#silence-reason', 'maintenance');
  await page.selectOption('#silence-end', '4');
  await button('Silence').click();
  await closed();
  await page.goto(`${host.url}/silences`);
  await page.waitForSelector('.plain tbody tr');
  // The new name appears once the servers have been read.
  await page.waitForSelector('.plain tbody tr th:has-text("first")');
  assert.match(await page.innerText('.plain tbody tr'), /first[\s\S]*maintenance[\s\S]*in (3 h|4 h)/);
  await page.fill('#silence-label', 'staging');
  await button('Silence …').click();
  await page.fill('#silence-reason', 'nobody looks');
  await page.selectOption('#silence-end', '');
  await page.keyboard.press('Enter');
  await closed();
  await page.waitForFunction(() => document.querySelectorAll('.plain tbody tr').length === 2);
  await inspect(page, 'silences');
  for (let n = 2; n > 0; n--) {
    await page.locator('.plain tbody tr button').first().click();
    await page.waitForFunction((left) => document.querySelectorAll('.plain tbody tr').length === left, n - 1);
  }
  await page.waitForSelector('text=Nothing is silenced');
});

step('channels are added, changed and deleted; quiet hours and damping are saved', async () => {
  await page.goto(`${host.url}/notifications`);
  await button('Add a channel').click();
  await page.selectOption('#channel-type', 'ntfy');
  await page.fill('#channel-name', 'Phone');
  await button('Add').click();
  assert.match(await page.innerText('#config-topic-error'), /required/);
  await page.fill('#config-topic', 'a-topic-for-tests');
  await inspect(page, 'channel');
  await button('Add').click();
  await closed();
  const row = page.locator('.plain tbody tr', {hasText: 'Phone'});
  await row.waitFor();
  await row.getByRole('button', {name: 'Change Phone'}).click();
  assert.doesNotMatch(await page.inputValue('#config-topic'), /a-topic/);
  await page.fill('#channel-name', 'Pocket');
  await page.selectOption('#channel-severity', 'FAILURE');
  await dialog().getByRole('button', {name: 'Save'}).click();
  await closed();
  await page.waitForSelector('.plain >> text=Failures only');

  await page.fill('#quiet-from', '22:00');
  await page.fill('#damping', '3');
  await page.locator('section', {has: page.locator('#quiet')}).getByRole('button', {name: 'Save'}).click();
  assert.match(await page.innerText('#quiet-to-error'), /Set both or neither/);
  await page.fill('#quiet-to', '07:00');
  await page.locator('section', {has: page.locator('#quiet')}).getByRole('button', {name: 'Save'}).click();
  await page.waitForSelector('text=Saved.');
  await page.reload();
  await page.waitForSelector('#damping');
  assert.deepEqual([await page.inputValue('#quiet-from'), await page.inputValue('#quiet-to'), await page.inputValue('#damping')], ['22:00', '07:00', '3']);
  await inspect(page, 'notifications');
  await page.getByRole('button', {name: 'Delete Pocket'}).click();
  await page.waitForSelector('.part:has(#channels) >> text=No channels.');
});

step('a public page is opened, seen without an account, and closed', async () => {
  await page.goto(serverUrl);
  await page.waitForSelector('.row');
  await manage('Public page and badge …');
  await button('Open a page').click();
  const address = await dialog().locator('a').first().getAttribute('href');
  await dialog().locator('img').evaluate((image) => image.decode());
  await button('Done').click();
  await closed();

  const stranger = await suite.browser.newContext({ignoreHTTPSErrors: true});
  const theirs = await stranger.newPage();
  await theirs.goto(address);
  await theirs.waitForSelector('.public li');
  assert.equal(await theirs.innerText('h1'), 'first');
  assert.equal(await theirs.locator('.public li').count(), 4);
  assert.equal(await theirs.isVisible('.top-nav'), false);
  await inspect(theirs, 'public');

  await manage('Public page and badge …');
  await button('Close the page').click();
  await closed();
  await theirs.reload();
  await theirs.waitForSelector('text=Page not found');
  await stranger.close();
});

step('of two hosts with one identity, one is kept', async () => {
  await page.goto(host.url);
  await page.waitForSelector('.row');
  await live(page);
  await suite.fleet.do('share', {server: 'two'});
  await page.locator('.row', {hasText: 'two'}).locator('.twice', {hasText: 'two hosts'}).waitFor();
  await page.locator('.row', {hasText: 'two'}).locator('.c-name a').click();
  const notice = page.getByRole('alert').filter({hasText: 'Two hosts use the identity of this server'});
  assert.match(await notice.innerText(), /“original” is connected, and “copy” is refused/);
  await inspect(page, 'duplicate');
  await button('Keep the refused one …').click();
  assert.match(await dialog().innerText(), /“copy” reports as this server\. “original” is refused/);
  await page.keyboard.press('Escape');
  await closed();
  await button('Keep the connected one …').click();
  assert.match(await dialog().innerText(), /“original” reports as this server\. “copy” is refused/);
  await button('Keep it').click();
  await closed();
  await notice.waitFor({state: 'detached'});
});

step('an agent that is older than the backend is marked', async () => {
  await page.goto(host.url);
  await page.waitForSelector('.row');
  await live(page);
  const row = page.locator('.row', {hasText: 'two'});
  await suite.fleet.do('version', {server: 'two', version: '0.0.9'});
  await row.locator('.old-agent', {hasText: 'agent outdated'}).waitFor();
  await inspect(page, 'outdated');
  await row.locator('.c-name a').click();
  await page.locator('.facts', {hasText: 'Agent 0.0.9, older than the backend: upgrade it'}).waitFor();
  await suite.fleet.do('version', {server: 'two', version: '99.0.0'});
  await page.locator('.facts', {hasText: /Agent 99\.0\.0$/}).waitFor();
  await page.goto(host.url);
  await row.locator('.old-agent', {hasText: /^$/}).waitFor({state: 'attached'});
});

step('a server gets a new token, and is removed', async () => {
  await page.goto(`${host.url}/servers/${ids.two}`);
  await page.waitForSelector('.row');
  await manage('New token …');
  await button('Create token').click();
  await page.waitForSelector('dialog pre');
  assert.match(await page.innerText('dialog pre'), /^ssictl unregister; ssictl register http\S+ - <<<\S+$/);
  await button('Done').click();
  await closed();
  await manage('Remove …');
  await button('Remove the server').click();
  await page.waitForURL(`${host.url}/`);
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
});

step('an API token is shown once and deleted; the password is changed; other devices are logged out', async () => {
  await page.goto(`${host.url}/account`);
  await button('Create a token').click();
  await page.fill('#token-name', 'a <script>');
  await button('Create token').click();
  await page.waitForSelector('dialog pre');
  const token = await page.innerText('dialog pre');
  await button('Done').click();
  await closed();
  const ask = (secret) => page.evaluate(async (t) => (await fetch('/api/v1/servers', {headers: {Authorization: `Bearer ${t}`}})).status, secret);
  assert.equal(await ask(token), 200);
  await page.waitForSelector('.plain >> text=a <script>');
  await inspect(page, 'account');
  await page.getByRole('button', {name: 'Delete the token a <script>'}).click();
  await page.waitForSelector('text=No API tokens.');
  assert.equal(await ask(token), 401);

  await page.fill('#current-password', 'not this one');
  await page.fill('#new-password', `${password} too`);
  for (const id of ['current-password', 'new-password']) {
    const shown = () => page.getAttribute(`#${id}`, 'type');
    const reveal = page.locator(`.with-button:has(#${id})`).getByRole('button', {name: 'Show password'});
    const before = await shown();
    await reveal.click();
    assert.deepEqual([before, await shown()], ['password', 'text']);
    await reveal.click();
    assert.equal(await shown(), 'password');
  }
  await button('Change password').click();
  await page.waitForSelector('.form .notice.bad:visible');
  await page.fill('#current-password', password);
  await button('Change password').click();
  await page.waitForSelector('text=Password changed.');
  profile.expectComplaint(/status of 40[13]/);
});

step('a second device logs in with the code shown on the first', async () => {
  await page.goto(`${host.url}/account`);
  await live(page);
  await button('Log in on another device').click();
  await dialog().locator('img.qr').waitFor();
  const link = await page.innerText('#device-link');
  assert.equal(await readQr(page), link);
  assert.match(new URL(link).hash, /^#ssi_login_/);
  await inspect(page, 'device-code');

  const phone = await openProfile(suite.browser, {viewport: SIZES.phone, userAgent: 'Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile'});
  const theirs = await phone.newPage();
  const requested = [];
  theirs.on('request', (r) => requested.push(r.url(), r.headers().referer ?? ''));
  await theirs.goto(link);
  await inspect(theirs, 'device');
  assert.equal(new URL(theirs.url()).hash, '', 'not kept in the history');
  await theirs.getByRole('button', {name: 'Log in on this device'}).click();
  await theirs.waitForSelector('.row');
  assert.equal(requested.some((url) => url.includes('ssi_login_') && !url.includes('#')), false, 'the code is in no address');
  await dialog().getByText('Chrome on Android is logged in.').waitFor();
  assert.equal(await dialog().locator('img.qr').isVisible(), false);
  await button('Close').click();
  await closed();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Log in on another device');

  // A code is no password: what makes another way in asks for it, over the dialog that is open.
  await theirs.goto(`${host.url}/account`);
  await theirs.getByRole('button', {name: 'Create a token', exact: true}).click();
  await theirs.fill('#token-name', 'from the phone');
  await theirs.getByRole('button', {name: 'Create token', exact: true}).click();
  const ask = theirs.getByRole('dialog', {name: 'Enter your password'});
  await ask.waitFor();
  assert.equal(await theirs.evaluate(() => document.activeElement.id), 'confirm-password');
  await inspect(theirs, 'password-again');
  await theirs.keyboard.press('Escape');
  await ask.waitFor({state: 'hidden'});
  await theirs.getByRole('dialog', {name: 'Create an API token'}).getByRole('alert').getByText('This needs your password.').waitFor();
  assert.equal(await theirs.evaluate(() => document.activeElement.textContent), 'Create token');
  await theirs.getByRole('button', {name: 'Create token', exact: true}).click();
  await theirs.fill('#confirm-password', 'not this one');
  await theirs.keyboard.press('Enter');
  await ask.getByRole('alert').getByText('The password is wrong.').waitFor();
  await theirs.fill('#confirm-password', `${password} too`);
  await theirs.keyboard.press('Enter');
  await theirs.waitForSelector('dialog pre');
  await theirs.getByRole('button', {name: 'Done', exact: true}).click();
  phone.expectComplaint(/status of 403/);

  // The code has been used, and a device that is logged in need not do anything.
  await theirs.goto(link);
  await theirs.waitForSelector(`text=already logged in as ${suite.email}`);
  await theirs.click('#account summary');
  await theirs.click('#logout');
  await theirs.waitForSelector('h1:text-is("Log in on this device")');
  await theirs.goto(link);
  await theirs.getByRole('button', {name: 'Log in on this device'}).click();
  await theirs.waitForSelector('[role="alert"]:visible >> text=used or expired');
  phone.expectComplaint(/status of 401/);
  assert.deepEqual(phone.complaints, []);
  await phone.close();
});

step('the account is deleted after its password is entered', async () => {
  await button('Delete account').click();
  await page.fill('#delete-password', `${password} too`);
  await button('Delete everything').click();
  await page.waitForURL('**/login**');
  await closed();
  await page.fill('#email', suite.email);
  await page.fill('#password', `${password} too`);
  await page.click('main button[type="submit"]');
  await page.waitForSelector('[role="alert"]:visible');
  profile.expectComplaint(/status of 401/);
});

step('a forgotten password: requesting the e-mail, and the error for a bad link', async () => {
  await page.click('text=Forgot your password?');
  await page.waitForSelector('h1:text-is("Reset your password")');
  await inspect(page, 'forgotten');
  await page.goto(`${host.url}/verify-email#token=none`);
  await page.waitForSelector('text=This link has already been used or has expired.');
  await page.goto(`${host.url}/reset-password#token=none`);
  await page.fill('#new-password', 'a new password for me');
  await page.click('main button[type="submit"]');
  await page.waitForSelector('[role="alert"]:visible');
  await inspect(page, 'reset');
  profile.expectComplaint(/status of 400/);
});

step('the daemons logged no errors', () => journalIsClean(host));
