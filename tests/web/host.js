/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The throwaway host in which the real server and the real agent run (see tests/testhost --help).
//   SSI_URL   a server that is there already; then SSI_HOST names its testhost, if it has one

import {execFile, execFileSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';

const testhost = fileURLToPath(new URL('../testhost', import.meta.url));
const folder = process.env.SSI_TESTHOST_DIR ?? '/run/ssi-testhost';
const run = promisify(execFile);

export const CA = '/var/lib/ssi-server/tls/ca.pem';

export class Host {
  url = process.env.SSI_URL ?? 'https://localhost:8443';
  name;
  #own = !process.env.SSI_URL;

  constructor(number = 1) {
    this.name = this.#own ? `web-${process.pid}-${number}` : process.env.SSI_HOST;
  }

  // Gives the process whose network the host has.
  async up() {
    await run(testhost, ['up', this.name, '--agent', '--server']);
    return Number(readFileSync(`${folder}/${this.name}/leader`, 'utf8'));
  }

  down() {
    if (this.#own && existsSync(`${folder}/${this.name}`))
      execFileSync(testhost, ['down', this.name], {stdio: ['ignore', 'inherit', 'inherit']});
  }

  // Runs a command in the host as root; gives what it printed. allowed: exit codes that are no failure.
  async exec(command, {input = '', allowed = [0]} = {}) {
    const promise = run(testhost, ['exec', this.name, ...command], {maxBuffer: 16 << 20, timeout: 60000});

    promise.child.stdin.on('error', () => {}); // the command need not read it
    promise.child.stdin.end(input);
    try {
      return (await promise).stdout;
    } catch (e) {
      if (allowed.includes(e.code)) return e.stdout;
      throw new Error(`${command.join(' ')} gave ${e.code ?? e.signal}\n${e.stdout}${e.stderr}`);
    }
  }

  async write(path, content) {
    await this.exec(['bash', '-c', 'cat >"$1.new" && chmod 0644 "$1.new" && mv "$1.new" "$1"', '-', path], {input: content});
  }

  // Adds a service that says what a file says, which say() changes. It runs only when it is told to.
  async addSpeaker(title, slug) {
    const words = `/srv/ssi-web-${slug}`;

    await this.write(words, 'OK, nothing to say');
    await this.write(`/srv/${slug}.bash`, `#!/bin/bash
# name: ${title}
# description: Says what ${words} says
# version: 1.0
# schedule: *-01-01 00:00:00
# timeout: 10
if [[ $(<${words}) == exit* ]]; then
        exit 3
fi
printf '%s, %s\\n' "$(date +'%F %T')" "$(<${words})"
`);
    await this.exec(['ssictl', 'add', `/srv/${slug}.bash`]);
    return {
      // Runs it with these words. A status that is not well gives the exit code 3.
      say: async (text) => {
        await this.write(words, text);
        await this.exec(['ssictl', 'run', slug], {allowed: [0, 3]});
      },
      // When journald received the line that ends so, ms since the epoch.
      printedAt: async (text) => {
        await this.exec(['journalctl', '--sync']);
        const out = await this.exec(['journalctl', '-q', '-o', 'json', '--all', '-n', '50', `_SYSTEMD_UNIT=ssi-${slug}.service`]);
        const entries = out.trim().split('\n').map((line) => JSON.parse(line));
        const entry = entries.reverse().find((e) => String(e.MESSAGE).endsWith(text));
        if (!entry) throw new Error(`the journal has no line that ends with ${text}`);
        return Number(entry.__REALTIME_TIMESTAMP) / 1000;
      },
    };
  }
}
