/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The account's page: another address, with mails; devices; how times are shown.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, before} from 'node:test';
import {openProfile} from './browser.js';
import {Helper} from './helper.js';
import {SIZES, Suite, inspect, journalIsClean, live, password, results} from './harness.js';

const suite = new Suite('account');
const {host} = suite;
const step = (name, f, options) => suite.step(name, f, {skip: host.name ? false : 'the server at SSI_URL is not ours to set up', ...options});
const CONF = '/etc/ssi/serverd.conf';
const fresh = `new-${suite.email}`;
let page, profile, sinks, confBefore;

const button = (name) => page.getByRole('button', {name, exact: true});
const closed = () => page.waitForFunction(() => !document.querySelector('dialog'));
const mail = async (to, n) => (await sinks.do('mails', {to, n})).text;
const section = (id) => page.locator('.part', {has: page.locator(`#${id}`)});

before(async () => {
  if (!host.name) return;
  sinks = new Helper('sinks.py');
  const where = await sinks.answer();
  confBefore = await host.exec(['bash', '-c', `mkdir -p /etc/ssi; cat ${CONF} 2>/dev/null || true`]);
  await host.write('/etc/ssi/mail-ca.pem', where.ca);
  await host.write(CONF, `${confBefore}
SSI_SMTP_URL=${where.smtp}
SSI_SMTP_FROM=SSI <ssi@example.org>
SSI_SMTP_CA=/etc/ssi/mail-ca.pem
SSI_PUBLIC_URL=${host.url}
SSI_ALLOW_PRIVATE_TARGETS=yes
`);
  await host.exec(['systemctl', 'restart', 'ssi-serverd.service']);
  await suite.begin();
  ({page, profile} = suite);
  await suite.signUp(() => mail(suite.email, 1));
}, {timeout: 120000});

after(async () => {
  await suite.end();
  if (!host.name) return;
  await sinks?.stop();
  await host.write(CONF, confBefore ?? '');
  await host.exec(['systemctl', 'restart', 'ssi-serverd.service']);
});

step('times are shown as the account says, on every open page and at the next visit', async () => {
  await page.goto(`${host.url}/account`);
  await live(page);
  const other = await profile.newPage();
  await other.goto(`${host.url}/account`);
  await live(other);
  const title = (of) => of.locator('table[aria-label="Sessions"] time').first().getAttribute('title');

  await page.waitForSelector('#time-zone');
  assert.match(await title(page), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(/);
  await page.selectOption('#time-zone', 'Asia/Tokyo');
  await page.selectOption('#language', 'en-GB');
  await page.selectOption('#clock', '12');
  await section('times').getByRole('button', {name: 'Save'}).click();
  for (const of of [page, other]) {
    await of.locator('table[aria-label="Sessions"] time[title*="m ("]').first().waitFor();
    const [, shown, iso] = /^(.*) \((.*)\)$/.exec(await title(of));
    const wanted = new Date(Date.parse(iso) + 9 * 36e5); // no summer time there
    assert.equal(shown.split(' ')[0], `${String(wanted.getUTCDate()).padStart(2, '0')}/${String(wanted.getUTCMonth() + 1).padStart(2, '0')}/${wanted.getUTCFullYear()}`);
    assert.match(shown, new RegExp(` ${wanted.getUTCHours() % 12 || 12}:\\d\\d:\\d\\d.[ap]m$`));
  }
  await other.close();
  await page.reload();
  await page.waitForSelector('#time-zone');
  assert.deepEqual([await page.inputValue('#time-zone'), await page.inputValue('#language'), await page.inputValue('#clock')], ['Asia/Tokyo', 'en-GB', '12']);
  await inspect(page, 'account-page');
});

step('the devices are named, and all others are logged out', async () => {
  const phone = await openProfile(suite.browser, {viewport: SIZES.phone, userAgent: 'Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile'});
  const theirs = await phone.newPage();
  await theirs.goto(`${host.url}/login`);
  await theirs.fill('#email', suite.email);
  await theirs.fill('#password', password);
  await theirs.keyboard.press('Enter');
  await theirs.waitForSelector('text=No servers yet');
  await page.locator('table[aria-label="Sessions"] tr', {hasText: 'Chrome on Android'}).waitFor();
  assert.equal(await page.locator('table[aria-label="Sessions"] tr', {hasText: 'This device'}).count(), 1);
  await button('Log out all others').click();
  await page.waitForFunction(() => document.querySelectorAll('table[aria-label="Sessions"] tbody tr').length === 1);
  await theirs.waitForURL('**/login**');
  phone.expectComplaint(/status of 401/);
  await phone.close();
  await live(page);
});

step('all data is downloaded', async () => {
  const [download] = await Promise.all([page.waitForEvent('download'), button('Download').click()]);
  assert.match(download.suggestedFilename(), /^ssi-account-\d{4}-\d\d-\d\d\.json$/);
  await download.saveAs(`${results}/account.json`);
  const data = JSON.parse(readFileSync(`${results}/account.json`, 'utf8'));
  assert.deepEqual([data.account.email, data.complete, data.sessions.length], [suite.email, true, 2]);
  await button('Download').click();
  await section('data-title').getByText('Try again in 300 s').waitFor();
  profile.expectComplaint(/status of 429/);
});

step('another address: asked for, given up, asked for again, confirmed on another device', async () => {
  await button('Change the address').click();
  await page.fill('#new-email', 'nobody');
  await button('Send e-mail').click();
  assert.match(await page.innerText('#new-email-error'), /valid e-mail address/);
  await inspect(page, 'change-address');
  await page.fill('#new-email', fresh);
  await button('Send e-mail').click();
  await closed();
  await section('address').getByText(`${fresh} becomes the address`).waitFor();
  await inspect(page, 'address-waits');
  await button('Keep the present one').click();
  await section('address').getByText('becomes the address').waitFor({state: 'detached'});
  await mail(fresh, 1);
  await button('Change the address').click();
  await page.fill('#new-email', fresh);
  await button('Send e-mail').click();
  await closed();
  const [link] = /https:\S+confirm-address\S+/.exec(await mail(fresh, 2));

  const phone = await openProfile(suite.browser, {viewport: SIZES.phone});
  const theirs = await phone.newPage();
  await theirs.goto(link);
  await theirs.getByText('This is the address of your account from now on').waitFor();
  await inspect(theirs, 'address-confirmed');
  await theirs.reload();
  await theirs.getByText('already been used or has expired').waitFor();
  phone.expectComplaint(/status of 400/);
  await phone.close();

  // The page that is open hears of it.
  await section('address').getByText(fresh).waitFor();
  await page.waitForFunction((email) => document.getElementById('account-email').textContent === email, fresh);
});

step('the old address takes the account back', async () => {
  const [link] = /https:\S+reset-password\S+/.exec(await mail(suite.email, 4)); // sign-up, two requests, the change
  const owner = await openProfile(suite.browser, {viewport: SIZES.desk});
  const theirs = await owner.newPage();
  await theirs.goto(link);
  await theirs.fill('#new-password', 'a password that is new');
  await theirs.keyboard.press('Enter');
  await theirs.waitForSelector('text=The password is changed.');
  await page.waitForURL('**/login**');
  profile.expectComplaint(/status of 401/);
  await theirs.goto(`${host.url}/login`);
  await theirs.fill('#email', suite.email);
  await theirs.fill('#password', 'a password that is new');
  await theirs.keyboard.press('Enter');
  await theirs.waitForSelector('text=No servers yet');
  assert.deepEqual(owner.complaints, []);
  await owner.close();
});

step('the daemons logged no errors', () => journalIsClean(host));
