/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The pages for administrators of the backend.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {after, before} from 'node:test';
import {openProfile} from './browser.js';
import {Suite, inspect, journalIsClean, live, password, results} from './harness.js';

const suite = new Suite('admin');
const {host} = suite;
const step = suite.step.bind(suite);
const other = `other-${process.pid}-${Date.now()}@example.org`;
let page, profile;

before(async () => {
  await suite.begin();
  ({page, profile} = suite);
  await suite.signUp();
}, {timeout: 120000});

after(() => suite.end());

const server = (...args) => host.exec(['ssictl', 'server', ...args]);
const psql = (statement) => host.exec(['runuser', '-u', 'ssi-postgres', '--', 'psql', '-X', '-q', '-h', '/run/ssi-postgres', '-d', 'ssi', '-c', statement]);
const button = (name) => page.getByRole('button', {name, exact: true});
const dialog = () => page.locator('dialog[open]').last();
const closed = () => page.waitForFunction(() => !document.querySelector('dialog'));
const row = (text) => page.locator('.plain tbody tr', {hasText: text});
const has = (email, tag) => row(email).locator(`.tag:text-is("${tag}")`).waitFor();
const hasNot = (email, tag) => row(email).locator(`.tag:text-is("${tag}")`).waitFor({state: 'detached'});

async function manage(email, choice) {
  await page.getByRole('button', {name: `Manage ${email}`}).click();
  await dialog().getByRole('button', {name: choice, exact: true}).click();
}

step('the pages are for administrators', async () => {
  await live(page);
  assert.equal(await page.isHidden('#administration'), true);
  await page.goto(`${host.url}/admin/accounts`);
  await page.waitForSelector('.notice.bad:has-text("Only administrators of this server")');
  profile.expectComplaint(/status of 403.*admin\/accounts/);
  await inspect(page, 'admin-stranger');
  profile.expectComplaint(/status of 403.*admin\/accounts/);
  await server('grant-admin', suite.email);
  await psql('DELETE FROM backend_samples');
  await page.goto(host.url);
  await page.waitForFunction(() => !document.querySelector('#administration').hidden);
  await page.click('#account summary');
  await page.click('#administration');
  await page.waitForURL('**/admin');
  await page.waitForSelector('text=Nothing to draw yet');
  assert.match(await page.innerText('[aria-label="Instances"]'), /Running/);
  await inspect(page, 'admin-overview-new');
  await page.click('.tabs a:text-is("Accounts")');
  await has(suite.email, 'Administrator');
  await has(suite.email, 'You');
});

step('accounts are found, locked, unlocked and made administrators', async () => {
  const theirs = await openProfile(suite.browser, {viewport: {width: 1280, height: 900}});
  const tab = await theirs.newPage();
  await tab.goto(`${host.url}/signup`);
  await tab.fill('#email', other);
  await tab.fill('#password', password);
  await tab.click('main button[type="submit"]');
  await tab.waitForSelector('text=No servers yet');
  await live(tab);

  await page.fill('#account-search', other.slice(0, 12).toUpperCase());
  await row(other).waitFor();
  await row(suite.email).waitFor({state: 'detached'});
  await inspect(page, 'admin-accounts');
  await page.getByRole('button', {name: `Manage ${other}`}).click();
  await dialog().waitFor();
  await inspect(page, 'admin-account');
  await dialog().getByRole('button', {name: 'Lock', exact: true}).click();
  await closed();
  await has(other, 'Locked');
  // Out at once.
  await tab.waitForURL('**/login**');
  theirs.expectComplaint(/status of 401/);
  await tab.fill('#email', other);
  await tab.fill('#password', password);
  await tab.click('main button[type="submit"]');
  await tab.waitForSelector('[role="alert"]:has-text("The account is locked")');
  theirs.expectComplaint(/status of 403.*users\/login/);
  await page.selectOption('#account-state', 'locked');
  await row(other).waitFor();
  await manage(other, 'Unlock');
  await closed();
  await page.waitForSelector('text=No account matches.');
  await page.selectOption('#account-state', '');
  await hasNot(other, 'Locked');
  await tab.click('main button[type="submit"]');
  await tab.waitForSelector('text=No servers yet');

  await manage(other, 'Make an administrator');
  await closed();
  await has(other, 'Administrator');
  await tab.waitForFunction(() => !document.querySelector('#administration').hidden);
  await manage(other, 'Revoke administration');
  await closed();
  await hasNot(other, 'Administrator');
  await tab.waitForFunction(() => document.querySelector('#administration').hidden);
  await theirs.close();
});

step('the last administrator stays one, and has no way to lock the own account', async () => {
  await page.fill('#account-search', '');
  await row(suite.email).waitFor();
  await page.getByRole('button', {name: `Manage ${suite.email}`}).click();
  assert.equal(await dialog().getByRole('button', {name: 'Lock', exact: true}).count(), 0);
  await dialog().getByRole('button', {name: 'Revoke administration'}).click();
  await dialog().locator('[role="alert"]:has-text("last administrator")').waitFor();
  profile.expectComplaint(/status of 409.*administrator/);
  await page.keyboard.press('Escape');
  await closed();
});

step('the overview draws the last week', async () => {
  await psql(`INSERT INTO backend_samples SELECT date_bin('10 minutes', now(), 'epoch') - i * interval '10 minutes', 1000000 - i * 600 * (40 + i % 144),
              400000000 + (1000 - i) * 100000, 300000000, 10, 12, 10 + i % 3, 100 FROM generate_series(1, 1000) i ON CONFLICT DO NOTHING`);
  await page.goto(`${host.url}/admin`);
  await page.waitForFunction(() => document.querySelectorAll('.chart').length === 3);
  assert.match(await page.innerText('.charts'), /Results per second[\s\S]*now, at most[\s\S]*MB/);
  await inspect(page, 'admin-overview');
});

step('the audit log is filtered and downloaded', async () => {
  await page.goto(`${host.url}/admin`);
  await page.click('.tabs a:text-is("Audit log")');
  await page.waitForURL('**/admin/audit');
  await row('administrator.granted').first().waitFor();
  await inspect(page, 'admin-audit');
  await page.fill('#audit-account', other);
  await page.fill('#audit-event', 'account.locked');
  await page.waitForFunction(() => document.querySelectorAll('.plain tbody tr').length === 1);
  assert.match(await page.innerText('.plain tbody tr'), /account\.locked[\s\S]*usr-/);
  for (const format of ['csv', 'json']) {
    const waiting = page.waitForEvent('download');
    await button(`Download as ${format.toUpperCase()}`).click();
    const download = await waiting;
    assert.equal(download.suggestedFilename(), `audit.${format}`);
    await download.saveAs(`${results}/audit.${format}`);
    const text = await readFile(`${results}/audit.${format}`, 'utf8');
    if (format === 'json') assert.deepEqual(JSON.parse(text).map((e) => e.event), ['account.locked']);
    else assert.match(text, /^id,at,[^\n]*\r\n[^\n]*"account\.locked"[^\n]*\r\n$/);
  }
  await page.fill('#audit-to', '2001-02-03');
  await page.waitForSelector('text=No entry matches.');
  await page.goto(`${host.url}/admin/accounts`);
});

step('who may sign up is chosen, and somebody is invited', async () => {
  await page.goto(`${host.url}/admin/sign-up`);
  await page.waitForSelector('#sign-up-choice');
  await page.waitForSelector('text=No invitations that can still be used.');
  await inspect(page, 'admin-sign-up');
  await page.selectOption('#sign-up-choice', 'open');
  await button('Save').click();
  await page.waitForFunction(() => document.querySelector('#announcer').textContent === 'Saved.');
  assert.match(await server('audit', '--event=sign-up.changed'), /"open"/);
  await page.reload();
  await page.waitForFunction(() => document.querySelector('#sign-up-choice')?.value === 'open');
  await button('Invite somebody').click();
  await page.fill('#invite-email', 'guest@example.org');
  await button('Invite').click();
  await dialog().locator('code:has-text("/signup#invitation=")').waitFor();
  await button('Done').click();
  await closed();
  await row('guest@example.org').waitFor();
  assert.match(await page.innerText('.plain tbody tr'), /guest@example\.org[\s\S]*An administrator[\s\S]*in (6|7) days/);
  await page.getByRole('button', {name: 'Withdraw the invitation for guest@example.org'}).click();
  await page.waitForSelector('text=No invitations that can still be used.');
  await page.goto(`${host.url}/admin/accounts`);
});

step('all users see an announcement, until it is withdrawn', async () => {
  const tab = await profile.newPage();
  await page.goto(`${host.url}/admin/announcements`);
  await page.waitForSelector('text=Nothing is announced.');
  await button('Announce').click();
  assert.match(await page.innerText('#announcement-error'), /Enter what users/);
  await page.fill('#announcement', 'The backend <b>restarts</b> at 18:00.');
  await page.selectOption('#announcement-length', '4');
  await button('Announce').click();
  await page.waitForSelector('#announcements p:text-is("The backend <b>restarts</b> at 18:00.")');
  await row('restarts').waitFor();
  await inspect(page, 'admin-announcements');
  await tab.goto(`${host.url}/silences`);
  await tab.waitForSelector('#announcements p:text-is("The backend <b>restarts</b> at 18:00.")');
  await inspect(tab, 'announced');
  await tab.close();
  await page.getByRole('button', {name: /Withdraw “The backend/}).click();
  await page.waitForSelector('text=Nothing is announced.');
  await page.waitForSelector('#announcements', {state: 'hidden'});
  await page.goto(`${host.url}/admin/accounts`);
});

step('an account is deleted, after the password was asked for', async () => {
  await psql("UPDATE login_sessions SET authenticated_at = now() - interval '1 hour'");
  await manage(other, 'Delete …');
  await dialog().getByRole('button', {name: 'Delete everything'}).click();
  await page.waitForSelector('#confirm-password');
  profile.expectComplaint(/status of 403.*admin\/accounts/);
  await page.fill('#confirm-password', password);
  await button('Continue').click();
  await closed();
  await row(other).waitFor({state: 'detached'});
  assert.match(await server('audit', '--event=account.removed', '--json'), new RegExp(`"email": ?"${other}"`));
});

step('the journal holds no error', () => journalIsClean(host));
