// fleet.py: servers and services by the hundred, which report what they are told to.

import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';

const script = fileURLToPath(new URL('./fleet.py', import.meta.url));
export const plain = process.env.SSI_FLEET_URL ?? 'http://127.0.0.1:8080';

export class Fleet {
  #child;
  #lines;

  static async start(email, password) {
    const response = await fetch(`${plain}/api/v1/users/login`, {
      method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({email, password})});
    const fleet = new Fleet();

    fleet.#child = spawn('/usr/bin/python3', [script, plain, (await response.json()).access_token], {stdio: ['pipe', 'pipe', 'inherit']});
    fleet.#lines = createInterface({input: fleet.#child.stdout})[Symbol.asyncIterator]();
    return fleet;
  }

  async do(what, options) {
    this.#child.stdin.write(`${JSON.stringify({do: what, ...options})}\n`);
    const {value, done} = await this.#lines.next();
    if (done) throw new Error(`fleet.py ended at ${what}`);
    return JSON.parse(value);
  }

  async stop() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin.end();
    await ended;
  }
}
