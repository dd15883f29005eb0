/* SPDX-License-Identifier: LGPL-2.1-or-later */
// A way to the server that can be cut.

import {connect, createServer} from 'node:net';

export class Proxy {
  url;
  #server;
  #pairs = new Set();
  #state = 'open';

  // target: an address of the server.
  static async start(target) {
    const {protocol, hostname, port} = new URL(target);
    const proxy = new Proxy();

    proxy.#server = createServer((client) => proxy.#pass(client, Number(port), hostname));
    await new Promise((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    proxy.url = `${protocol}//localhost:${proxy.#server.address().port}`;
    return proxy;
  }

  #pass(client, port, hostname) {
    if (this.#state === 'cut') return client.resetAndDestroy();
    const server = connect(port, hostname);
    const pair = [client, server];

    this.#pairs.add(pair);
    for (const [from, to] of [pair, pair.toReversed()]) {
      from.on('data', (data) => {
        if (this.#state === 'open') to.write(data);
      });
      from.on('error', () => {});
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
  }

  // Ends what there is and refuses what comes.
  cut() {
    this.#state = 'cut';
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  // Swallows everything, as a network does that has lost its way.
  swallow() {
    this.#state = 'swallow';
  }

  // What went through a silent time has lost bytes and is of no use any more.
  mend() {
    if (this.#state === 'swallow') for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    this.#state = 'open';
  }

  stop() {
    this.cut();
    this.#server.close();
  }
}
