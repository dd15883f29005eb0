/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Two people and a team: invitation, roles, a shared server, who acknowledged, leaving.

import assert from 'node:assert/strict';
import {after, before} from 'node:test';
import {openProfile} from './browser.js';
import {SIZES, Suite, inspect, live, password} from './harness.js';

const suite = new Suite('teams');
const {host} = suite;
const step = suite.step.bind(suite);
const second = `second-${suite.email}`;
let page, other, otherProfile, ids;

before(async () => {
  await suite.begin();
  ({page} = suite);
  await suite.signUp();
  await suite.startFleet();
  await server('sign-up', 'invite');
  ({ids} = await suite.fleet.do('servers', {names: ['one', 'two'], services: 2}));
  await suite.fleet.do('report', {server: 'one', items: [{service_name: 'check-1', status: 'FAILURE', message: 'full'}]});
  otherProfile = await openProfile(suite.browser, {viewport: SIZES.desk, colorScheme: 'light'});
  other = await otherProfile.newPage();
}, {timeout: 120000});

after(async () => {
  await server('sign-up', 'open');
  await suite.end();
});

const server = (...args) => host.exec(['ssictl', 'server', ...args]);
const button = (name, on = page) => on.getByRole('button', {name, exact: true});
const closed = (on = page) => on.waitForFunction(() => !document.querySelector('dialog'));
let link;

step('a team is made, and somebody invited to it', async () => {
  await page.goto(host.url);
  await page.click('#account summary');
  await page.click('#account a:text-is("Teams")');
  await page.waitForSelector('th a:text-is("Personal")');
  await inspect(page, 'teams');
  await button('Make a team').click();
  await page.keyboard.press('Enter');
  assert.match(await page.innerText('#team-name-error'), /Give the team a name/);
  await page.fill('#team-name', 'Night shift <b>');
  await page.keyboard.press('Enter');
  await page.waitForSelector('h1:text-is("Night shift <b>")');
  await button('Invite somebody').click();
  await page.fill('#invite-email', second);
  await inspect(page, 'team-invite');
  await button('Invite').click();
  await page.waitForSelector('dialog code:has-text("/join#invitation=")');
  link = await page.innerText('dialog code');
  await button('Done').click();
  await page.waitForSelector(`th:has-text("${second}")`);
  await inspect(page, 'team');
});

step('who has no account makes one with the link, and is a member', async () => {
  await other.goto(link);
  await other.waitForSelector('h1:text-is("Join a team")');
  await inspect(other, 'join');
  await button('Sign up', other).click();
  await other.waitForURL('**/signup#invitation=**');
  await other.fill('#email', second);
  await other.fill('#password', password);
  await other.click('main button[type="submit"]');
  await other.waitForSelector('text=No servers yet');
  await other.goto(`${host.url}/teams`);
  await other.click('th a:text-is("Night shift <b>")');
  await other.waitForSelector('td:text-is("operator")');
  assert.equal(await button('Rename', other).count(), 0);
  assert.equal(await button('Invite somebody', other).count(), 0);
  await inspect(other, 'team-member');
});

step('a server that is moved to the team appears at the other, and who acknowledged as well', async () => {
  await other.goto(host.url);
  await live(other);
  await page.goto(`${host.url}/servers/${ids.one}`);
  await page.waitForSelector('.row');
  await page.click('.page-head .menu summary');
  await button('Move to another team …').click();
  await page.waitForSelector('#move-team');
  await page.selectOption('#move-team', {label: 'Night shift <b>'});
  await inspect(page, 'move-server');
  await button('Move the server').click();
  await closed();
  await other.waitForSelector('.c-name a:text-is("one")');
  await suite.fleet.do('connect', {server: 'one'});
  await suite.fleet.do('report', {server: 'one', items: [{service_name: 'check-1', status: 'FAILURE', message: 'full again'}]});

  await page.goto(`${host.url}/servers/${ids.one}/services/check-1`);
  await live(page);
  await other.goto(`${host.url}/servers/${ids.one}/services/check-1`);
  await button('Acknowledge', other).click();
  await other.fill('#ack-reason', 'I am on it');
  await other.keyboard.press('Enter');
  await page.waitForSelector(`.notice:visible:has-text("I am on it"):has-text("by ${second}")`);
});

step('the overview shows one team or all of them', async () => {
  await page.goto(host.url);
  await page.waitForSelector('.c-name a:text-is("two")');
  await page.selectOption('select[aria-label="Team"]', {label: 'Night shift <b>'});
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
  assert.equal(await page.innerText('.c-name a'), 'one');
  await inspect(page, 'team-filter');
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
  await button('Show all').click();
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 2);
});

step('a role is changed, and a member removed, whose pages show it at once', async () => {
  await other.goto(host.url);
  await other.waitForSelector('.c-name a:text-is("one")');
  await live(other);
  await page.goto(`${host.url}/teams`);
  await page.click('th a:text-is("Night shift <b>")');
  await button(`Change the role of ${second}`).click();
  await page.selectOption('#member-role', 'admin');
  await button('Save').click();
  await closed();
  await page.waitForSelector('td:text-is("admin")');
  await button('Leave').click();
  await button('Leave the team').click();
  await page.waitForSelector('dialog [role="alert"]:has-text("no owner")');
  suite.profile.expectComplaint(/status of 409.*leave/);
  await page.keyboard.press('Escape');
  await closed();
  await button(`Remove ${second}`).click();
  await button('Remove').click();
  await closed();
  await page.waitForFunction((email) => !document.querySelector('main').textContent.includes(email), second);
  await other.waitForSelector('text=No servers yet');
  assert.deepEqual(otherProfile.complaints, [], 'the console is quiet');
});
