/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Boots the host that the tests share, runs `node --test` and ends the host. Writes JUnit's XML too when $SSI_JUNIT names
// a file. Arguments are test files. $SSI_URL names a server that is there already (see host.js).

import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {serve} from './browser.js';
import {Host} from './host.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const args = ['--test', '--test-concurrency=1' /* the host is one, and is restarted */, '--test-reporter=spec', '--test-reporter-destination=stdout'];
const host = new Host();
const env = {...process.env};

if (process.env.SSI_JUNIT)
  args.push(`--test-reporter=${here}junit.js`, `--test-reporter-destination=${process.env.SSI_JUNIT}`);
const browser = await serve();
env.SSI_BROWSER = browser.wsEndpoint();
if (!process.env.SSI_URL) {
  host.up();
  Object.assign(env, {SSI_URL: host.url, SSI_HOST: host.name});
}
const child = spawn(process.execPath, [...args, ...process.argv.slice(2)], {cwd: here, stdio: 'inherit', env});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', async (code, signal) => {
  host.down();
  await browser.close();
  process.exit(signal ? 1 : code);
});
