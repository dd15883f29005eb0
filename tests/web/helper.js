/* SPDX-License-Identifier: LGPL-2.1-or-later */
// A Python program that is told what to do: a JSON object per line in, one out.

import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';

export class Helper {
  #name;
  #child;
  #lines;

  constructor(name, args = []) {
    this.#name = name;
    this.#child = spawn('/usr/bin/python3', [fileURLToPath(new URL(name, import.meta.url)), ...args], {stdio: ['pipe', 'pipe', 'inherit']});
    this.#lines = createInterface({input: this.#child.stdout})[Symbol.asyncIterator]();
  }

  do(what, options) {
    this.#child.stdin.write(`${JSON.stringify({do: what, ...options})}\n`);
    return this.answer(what);
  }

  // The next line, also of one that begins by itself.
  async answer(what = 'its start') {
    const {value, done} = await this.#lines.next();
    if (done) throw new Error(`${this.#name} ended at ${what}`);
    return JSON.parse(value);
  }

  async stop() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin.end();
    await ended;
  }
}
