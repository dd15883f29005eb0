// Who is logged in. The access token lives in memory; the refresh token in localStorage, shared by all tabs. It is
// rotated at each use, and using a spent one ends the session: so one tab at a time renews, with what is stored *then*.

import {SignedOut, json, send} from './api.js';

const KEY = 'ssi.session'; // {email, refresh_token}
const LOCK = 'ssi.session.renew';
const MARGIN_MS = 30000;

export class Session extends EventTarget {
  #access = null; // {token, until} by performance.now()
  #renewal = null;
  #told = this.email; // whom the last 'change' was about

  constructor() {
    super();
    addEventListener('storage', (e) => {
      if (e.key === KEY || e.key === null) this.#tell();
    });
  }

  get email() {
    return this.#read()?.email ?? null;
  }

  get signedIn() {
    return this.#read() !== null;
  }

  async signUp(email, password) {
    await json(await send('POST', '/api/v1/users/register', {body: {email, password}}));
    await this.logIn(email, password);
  }

  async logIn(email, password) {
    const tokens = await json(await send('POST', '/api/v1/users/login', {body: {email, password}}));

    this.#keep(email, tokens);
    this.#tell();
  }

  async logOut() {
    // Under the lock: no renewal may be under way, or what it brings would outlive the session.
    await exclusively(async () => {
      const stored = this.#read();

      this.#forget();
      // The server forgets the token when it can be reached; this browser has forgotten it in any case.
      if (stored) await send('POST', '/api/v1/users/logout', {body: {refresh_token: stored.refresh_token}}).catch(() => {});
    });
  }

  // A token that is good for the next half minute at least. refused: one that the server no longer takes.
  accessToken(refused = null) {
    if (this.#access && this.#access.token !== refused && this.#access.until - MARGIN_MS > performance.now())
      return Promise.resolve(this.#access.token);
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  #renew() {
    return exclusively(async () => {
      const stored = this.#read();

      if (!stored) {
        this.#forget();
        throw new SignedOut();
      }
      try {
        return this.#keep(stored.email, await json(await send('POST', '/api/v1/users/refresh',
                                                              {body: {refresh_token: stored.refresh_token}})));
      } catch (e) {
        if (e.status !== 401) throw e;
        this.#forget();
        throw new SignedOut();
      }
    });
  }

  #keep(email, tokens) {
    localStorage.setItem(KEY, JSON.stringify({email, refresh_token: tokens.refresh_token}));
    this.#access = {token: tokens.access_token, until: performance.now() + tokens.expires_in * 1000};
    return tokens.access_token;
  }

  #forget() {
    localStorage.removeItem(KEY);
    this.#tell();
  }

  #read() {
    return parse(localStorage.getItem(KEY));
  }

  // Another tab may have logged in or out, or renewed, which is nobody's concern.
  #tell() {
    if (this.email === this.#told) return;
    this.#told = this.email;
    if (!this.signedIn) this.#access = null;
    this.dispatchEvent(new Event('change'));
  }
}

function parse(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value.refresh_token === 'string' ? value : null;
  } catch {
    return null;
  }
}

// Locks exist in secure contexts only; elsewhere a second tab may lose its session, and nothing worse.
function exclusively(f) {
  return navigator.locks ? navigator.locks.request(LOCK, f) : f();
}
