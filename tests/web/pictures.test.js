/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The pictures of the README. Draws them only when SSI_WEB_PICTURES is set, into docs/images:
//   SSI_WEB_PICTURES=1 npm test pictures.test.js

import {fileURLToPath} from 'node:url';
import {after, before} from 'node:test';
import {Suite, live} from './harness.js';

const wanted = Boolean(process.env.SSI_WEB_PICTURES);
const suite = new Suite('jo');
const {host} = suite;
const folder = fileURLToPath(new URL('../../docs/images', import.meta.url));
const names = ['db-01', 'mail-02', 'build-03', 'cache-04', 'web-05', 'db-06', 'mail-07', 'build-08', 'cache-09'];
const labels = [['prod', 'eu'], ['prod', 'us'], ['staging'], [], ['prod', 'db'], ['prod', 'eu'], ['prod', 'us'], ['staging'], []];
const updates = {service_name: 'check-0', status: 'UPDATE', message: '12 available updates (3 security updates)'};
let ids;

before(async () => {
  if (!wanted) return;
  await suite.begin({viewport: {width: 1280, height: 680}});
  await suite.signUp();
  await suite.startFleet();
  ({ids} = await suite.fleet.do('servers', {names, services: 6, labels}));
  const report = (server, ...items) => suite.fleet.do('report', {server, items});
  await report('db-01', updates, {service_name: 'check-1', status: 'OK', message: '89 % of / is used'},
    {service_name: 'check-2', error: {kind: 'timeout', detail: 'timed out after 30 s'}},
    {service_name: 'check-3', status: 'WARNING', message: 'Load 3.8 on 4 processors'},
    {service_name: 'check-4', status: 'FAILURE', message: 'The last backup is 3 days old: /var/backups/db.dump, written 2026-11-21 03:00'});
  await report('cache-04', updates, {service_name: 'check-1', status: 'FAILURE', message: '/var is full: 0 of 20 GB left'});
  await report('build-03', {service_name: 'check-5', status: 'WARNING', message: 'builds.example.org ends in 6 days'});
  await report('mail-07', updates);
  await suite.fleet.do('hang_up', {server: 'cache-04'});
}, {timeout: 300000});

after(() => suite.end());

suite.step('draw', async () => {
  for (const [name, path, height] of [['overview', '/', 700], ['server', `/servers/${ids['db-01']}`, 600]]) {
    await suite.page.setViewportSize({width: 1280, height});
    await suite.page.goto(host.url + path);
    await suite.page.waitForSelector('.row');
    if (name === 'overview') await suite.page.waitForSelector('.conn[data-value="offline"]');
    await suite.page.mouse.move(640, 5);
    await live(suite.page);
    await suite.page.evaluate(() => document.fonts.ready);
    await suite.page.screenshot({path: `${folder}/${name}.png`});
  }
}, {skip: !wanted});
