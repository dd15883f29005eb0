/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Runs each test file with `node --test`, two at once, each with a host and a browser of its own. Writes JUnit's XML too when $SSI_JUNIT
// names a file. Arguments are test files (default: all). $SSI_URL names a server that is there already (see host.js), for one file at a time.
//   SSI_WEB_JOBS  how many files at once (default: 2; 1 where something is measured or drawn)

import {spawn} from 'node:child_process';
import {mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {Host} from './host.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const {SSI_URL: elsewhere, SSI_JUNIT: report, SSI_WEB_SCALE: measured, SSI_WEB_PICTURES: drawn} = process.env;
const jobs = elsewhere ? 1 : Number(process.env.SSI_WEB_JOBS ?? (measured || drawn ? 1 : 2));
const tmp = mkdtempSync(`${tmpdir()}/ssi-web.`);
const FILE_MAX_MS = 15 * 60 * 1000;
const children = new Set();
const reports = [];
let failed = false, stopped = false;

// The long ones first, so that both ends come together.
const files = process.argv.length > 2 ? process.argv.slice(2) :
  readdirSync(here).filter((name) => name.endsWith('.test.js')).sort((a, b) => statSync(here + b).size - statSync(here + a).size);

function start(command, options) {
  const child = spawn(command[0], command.slice(1), {cwd: here, ...options});

  children.add(child);
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      children.delete(child);
      resolve(code ?? 1);
    });
  });
  return {child, ended};
}

async function test(file, inside, env) {
  const args = ['--test', '--test-reporter=spec', '--test-reporter-destination=stdout'];
  const junit = `${tmp}/${reports.length}.xml`;

  if (report) {
    args.push(`--test-reporter=${here}junit.js`, `--test-reporter-destination=${junit}`);
    reports.push(junit);
  }
  const {child, ended} = start([...inside, process.execPath, ...args, file], {env, stdio: ['ignore', 'pipe', 'pipe']});
  const said = [];
  // What a file's tests have left open would keep it for ever.
  const late = setTimeout(() => child.kill('SIGTERM'), FILE_MAX_MS);
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => said.push(data));
  if (await ended !== 0) failed = true;
  clearTimeout(late);
  process.stdout.write(`${file}\n${Buffer.concat(said)}`); // in one piece
}

// Everything but this process is in the host's network, where the server has the ports that it always has. With nothing but a loopback
// a browser takes itself for offline.
// None of them gets an address later, which would be a change of the network for Chromium, and end what it is loading.
const NETWORK = ['ip link add up0 type veth peer name up1', 'ip link set up0 addrgenmode none', 'ip link set up1 addrgenmode none',
  'ip address add 192.0.2.1/30 dev up0', 'ip link set up0 up', 'ip link set up1 up'].join(' && ');

async function enter(host) {
  const inside = ['nsenter', `--net=/proc/${await host.up()}/ns/net`];

  if (await start([...inside, 'sh', '-c', NETWORK], {stdio: 'inherit'}).ended !== 0) throw new Error('the host gets no network');
  return inside;
}

async function lane(number) {
  const host = new Host(number);
  const inside = elsewhere ? [] : await enter(host);
  const browser = start([...inside, process.execPath, 'serve.js'], {stdio: ['pipe', 'pipe', 'inherit']});
  const {value: endpoint} = await createInterface({input: browser.child.stdout})[Symbol.asyncIterator]().next();
  const env = {...process.env, SSI_URL: host.url, SSI_HOST: host.name, SSI_BROWSER: endpoint};

  while (files.length > 0 && !stopped) await test(files.shift(), inside, env);
  browser.child.stdin.end();
  await browser.ended;
}

for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    stopped = failed = true;
    for (const child of children) child.kill(signal);
  });
const lanes = Array.from({length: jobs}, (_, n) => n + 1);
for (const {status, reason} of await Promise.allSettled(lanes.map(lane))) {
  if (status !== 'rejected') continue;
  failed = true;
  console.error(reason);
}
for (const number of lanes) new Host(number).down();
if (report) {
  const suites = reports.map((name) => {
    try {
      return readFileSync(name, 'utf8').replace(/^<\?xml.*\?>\n/, '');
    } catch {
      return `<testsuite name="web"><testcase classname="web" name="${name}"><failure message="no results"/></testcase></testsuite>\n`;
    }
  });
  writeFileSync(report, `<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n${suites.join('')}</testsuites>\n`);
}
rmSync(tmp, {recursive: true});
process.exit(failed ? 1 : 0);
