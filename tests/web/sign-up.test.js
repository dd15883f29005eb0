/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Who may sign up, as the page shows it: before the setup, closed, by invitation, with the setup code.

import assert from 'node:assert/strict';
import {after, before} from 'node:test';
import {Suite, inspect, journalIsClean, password} from './harness.js';

const suite = new Suite('sign-up');
const {host} = suite;
const step = suite.step.bind(suite);
const CONF = '/etc/ssi/serverd.conf';
let page, profile;

before(async () => {
  await suite.begin();
  ({page, profile} = suite);
}, {timeout: 300000});

after(() => suite.end());

const server = (...args) => host.exec(['ssictl', 'server', ...args]);
const notice = () => page.textContent('main .notice[role="status"]');
const fill = async (email) => {
  await page.fill('#email', email);
  await page.fill('#password', password);
  await page.click('main button[type="submit"]');
};

async function logOut() {
  await page.click('#account summary');
  await page.click('#logout');
  await page.waitForURL('**/login**');
}

// A setting of the backend, for the time of f().
async function configured(line, f) {
  const restart = async () => {
    await host.exec(['systemctl', 'restart', 'ssi-serverd.service']);
    await host.exec(['bash', '-c', 'until [[ $(busctl get-property org.ssi.Server1 /org/ssi/Server1 org.ssi.Server1 DatabaseReady) == "b true" ]]; do sleep 0.1; done']);
  };

  await host.exec(['mkdir', '-p', '/etc/ssi']);
  await host.write(CONF, `${line}\n`);
  await restart();
  try {
    await f();
  } finally {
    await host.exec(['rm', CONF]);
    await restart();
  }
}

step('with the setup code, the first account', async () => {
  // The host is that of the tests before.
  for (const {email} of JSON.parse(await server('users', '--json'))) await server('remove-user', email);
  await host.exec(['runuser', '-u', 'ssi-postgres', '--', 'psql', '-X', '-q', '-h', '/run/ssi-postgres', '-d', 'ssi',
    '-c', "DELETE FROM settings WHERE key = 'sign_up'"]);
  await configured('SSI_SETUP_CODE=the-code-of-the-setup', async () => {
    await page.goto(`${host.url}/signup`);
    await page.waitForSelector('#setup-code');
    await inspect(page, 'setup-code');
    await fill('first@example.org');
    assert.match(await page.textContent('#setup-code-error'), /Enter the setup code/);
    await page.fill('#setup-code', 'some-other-long-code');
    await page.click('main button[type="submit"]');
    await page.waitForSelector('[role="alert"]:visible');
    assert.match(await page.textContent('[role="alert"]'), /setup code is wrong/);
    profile.expectComplaint(/status of 403.*users\/register/);
    await page.fill('#setup-code', 'the-code-of-the-setup');
    await page.click('main button[type="submit"]');
    await page.waitForSelector('text=No servers yet');
    await logOut();
  });
});

step('closed: whom to ask, and no form', async () => {
  assert.match(await server('sign-up'), /closed/);
  await page.goto(`${host.url}/login`);
  await page.click('text=Sign up');
  assert.match(await notice(), /Ask an administrator/);
  assert.equal(await page.locator('main form').count(), 0);
  await inspect(page, 'closed');
});

step('by invitation: only its link has the form', async () => {
  await server('sign-up', 'invite');
  await page.goto(`${host.url}/signup`);
  assert.match(await notice(), /need an invitation/);
  const link = new URL((await server('invite', suite.email)).trim());

  await page.goto(host.url + link.pathname + link.hash);
  await page.waitForSelector('#email');
  assert.match(await page.textContent('main .description'), /You are invited/);
  assert.equal(await page.isVisible('#setup-code'), false);
  await inspect(page, 'invited');
  await fill(`not-${suite.email}`);
  await page.waitForSelector('[role="alert"]:visible');
  assert.match(await page.textContent('[role="alert"]'), /another address/);
  profile.expectComplaint(/status of 400.*users\/register/);
  await fill(suite.email);
  await page.waitForSelector('text=No servers yet');
});

step('where users may invite, they do so on the page of their account', async () => {
  const button = (name) => page.getByRole('button', {name, exact: true});

  await page.goto(`${host.url}/account`);
  await page.waitForSelector('text=No invitations that can still be used');
  await button('Invite somebody').click();
  await page.fill('#invite-email', `friend-${suite.email}`);
  await button('Invite').click();
  const link = await page.textContent('dialog[open] code');
  await button('Done').click();
  await page.waitForSelector(`table[aria-label="Invitations"] >> text=friend-${suite.email}`);
  await inspect(page, 'invitations');
  await logOut();
  await page.goto(link);
  await fill(`friend-${suite.email}`);
  await page.waitForSelector('text=No servers yet');

  await page.goto(`${host.url}/account`);
  await button('Invite somebody').click();
  await button('Invite').click();
  await button('Done').click();
  await page.click('table[aria-label="Invitations"] button');
  await page.waitForSelector('text=No invitations that can still be used');
  await logOut();
});

step('open: the form', async () => {
  await server('sign-up', 'open');
  await page.goto(`${host.url}/signup`);
  await page.waitForSelector('#email');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'email');
  await fill(`open-${suite.email}`);
  await page.waitForSelector('text=No servers yet');
});

step('the daemons logged no errors', () => journalIsClean(host));
