/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The live connection: keeps one event stream open and reports its state.
//   connecting    the first attempt
//   live          events arrive
//   reconnecting  it broke; another attempt is in progress or scheduled
//   offline       the browser reports that there is no network
//
// Over HTTP/1.1, a browser opens at most six connections to a host for all tabs together, and each stream occupies one.
// So only one of the hidden tabs keeps its stream; the others close theirs and reconnect when they become visible.

import {SignedOut} from './http.js';
import {SseParser} from './sse.js';

const SILENCE_MS = 40000; // the server sends something every 15 s
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30000;
const STEADY_MS = 5000; // a stream that ends sooner counts as a failed attempt
const GRACE_MS = 1500; // a stream that ends because its token expired is back within this time
const HIDDEN_MS = 20000;
const LOCK = 'ssi.stream.hidden'; // held by the one hidden tab that keeps its stream

export class Stream {
  state = 'connecting';
  heardAt = null; // when data last arrived, ms since the epoch
  retryAt = null; // when the next attempt is due, or null
  since = 0; // when the state was entered, by performance.now()

  #api;
  #onEvent;
  #onState;
  #run = 0; // the number of the current start(); 0 while stopped
  #runs = 0;
  #abort = null;
  #wake = null;
  #grace = 0;
  #hidden = 0;
  #letGo = null; // releases the lock, while it is held

  // onEvent(name, data) for each event; onState(stream) when state or retryAt has changed.
  constructor(api, onEvent, onState) {
    this.#api = api;
    this.#onEvent = onEvent;
    this.#onState = onState;
    addEventListener('online', () => this.retry());
    addEventListener('offline', () => this.#abort?.abort());
    document.addEventListener('visibilitychange', () => this.#looked());
  }

  start() {
    if (this.#run) return;
    this.#run = ++this.#runs;
    this.heardAt = null;
    this.since = performance.now();
    this.#set('connecting');
    this.#keepOpen(this.#run);
  }

  stop() {
    this.#run = 0;
    clearTimeout(this.#grace);
    clearTimeout(this.#hidden);
    this.#letGo?.();
    this.#abort?.abort();
    this.#wake?.();
  }

  // Ends the wait between two attempts.
  retry() {
    this.#wake?.();
  }

  async #keepOpen(run) {
    let failures = 0;

    while (this.#run === run) {
      await this.#turn();
      if (this.#run !== run) return;
      const abort = this.#abort = new AbortController();
      const begun = performance.now();
      let opened = false;

      try {
        await this.#readAll(run, abort, () => {
          opened = true;
        });
      } catch (e) {
        if (e instanceof SignedOut && this.#run === run) this.stop(); // the session has dispatched 'change'
      }
      abort.abort();
      if (this.#run !== run) return;
      if (opened && document.hidden && !this.#letGo) {
        failures = 0; // closed on purpose
        continue;
      }

      failures = opened && performance.now() - begun > STEADY_MS ? 0 : failures + 1;
      const delay = failures ? backoff(failures) : 0;
      this.#broken(Date.now() + delay);
      await this.#pause(delay);
      this.retryAt = null;
    }
  }

  async #readAll(run, abort, onOpen) {
    const parser = new SseParser();
    const decoder = new TextDecoder();
    let watchdog = 0;
    const heard = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
    };

    heard();
    try {
      const response = await this.#api.stream(abort.signal);
      const reader = response.body.getReader();

      for (;;) {
        const {done, value} = await reader.read();
        if (done || this.#run !== run) return;
        heard();
        this.heardAt = Date.now();
        for (const {event, data} of parser.push(decoder.decode(value, {stream: true}))) {
          if (event === 'ready') {
            onOpen();
            this.#set('live');
          }
          this.#onEvent(event, JSON.parse(data));
        }
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  #looked() {
    clearTimeout(this.#hidden);
    if (!document.hidden) {
      this.#letGo?.();
      this.retry();
    } else if (navigator.locks) {
      this.#hidden = setTimeout(() => this.#abort?.abort(), HIDDEN_MS);
    }
  }

  // Waits until this tab is visible, or is the hidden one that may keep its stream.
  async #turn() {
    if (!document.hidden || this.#letGo || !navigator.locks) return;
    const abort = new AbortController();

    await this.#awake((resolve) => {
      navigator.locks.request(LOCK, {signal: abort.signal}, () => new Promise((release) => {
        this.#letGo = () => {
          this.#letGo = null;
          release();
        };
        resolve();
      })).catch(() => {}); // aborted
    });
    abort.abort();
    // A tab that becomes visible still shows the state from before its stream was closed.
    if (this.#run && this.state === 'live') this.#grace ||= setTimeout(() => this.#set('reconnecting'), GRACE_MS);
  }

  #set(state) {
    clearTimeout(this.#grace);
    this.#grace = 0;
    if (this.state !== state) this.since = performance.now();
    this.state = state;
    if (state === 'live') this.retryAt = null;
    this.#onState(this);
  }

  #broken(retryAt) {
    this.retryAt = retryAt;
    if (!navigator.onLine) this.#set('offline');
    else if (this.state === 'live') this.#grace ||= setTimeout(() => this.#set('reconnecting'), GRACE_MS);
    else this.#set('reconnecting');
  }

  async #pause(ms) {
    let timer = 0;

    await this.#awake((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }

  // A promise that #wake also resolves.
  async #awake(executor) {
    let mine = null;

    await new Promise((resolve) => {
      mine = this.#wake = resolve;
      executor(resolve);
    });
    if (this.#wake === mine) this.#wake = null; // another start() may have set its own
  }
}

// Full jitter: browsers that lose the same server do not all reconnect at the same time.
function backoff(failures) {
  const cap = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 10));
  return BACKOFF_MIN_MS / 2 + Math.random() * cap;
}
