/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Who is logged in. The access token lives in memory. The refresh token is shared by all tabs and rotated at each use,
// and using a spent one ends the session: so one tab at a time renews, with the token that is stored *then*.

import {guest} from './api.js';
import {ApiError, SignedOut} from './http.js';
import {unsubscribe} from './push.js';
import {endSession, getSecret, putSecret, putSession} from './vault.js';

const KEY = 'ssi.session'; // in localStorage: {email}; there while somebody is logged in
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
    try {
      return JSON.parse(localStorage.getItem(KEY))?.email ?? null;
    } catch {
      return null;
    }
  }

  get signedIn() {
    return this.email !== null;
  }

  async signUp(email, password) {
    await guest.signUp(email, password);
    await this.logIn(email, password);
  }

  async logIn(email, password) {
    await this.#begin(await guest.logIn(email, password), email);
  }

  // code: that another device shows.
  async logInWithCode(code) {
    const tokens = await guest.logInWithCode(code);
    const {email} = await guest.me(tokens.access_token);

    await this.#begin(tokens, email);
  }

  async #begin(tokens, email) {
    await exclusively(() => this.#keep(tokens, email));
    localStorage.setItem(KEY, JSON.stringify({email}));
    this.#tell();
  }

  async logOut() {
    await unsubscribe().catch(() => {}); // notifications of this account end here
    // Under the lock: no renewal may be under way, or what it brings would outlive the session.
    await exclusively(async () => {
      const token = await getSecret().catch(() => undefined);

      await this.#forget();
      // The server forgets the token when it can be reached; this browser has forgotten it in any case.
      if (token) await guest.logOut(token).catch(() => {});
    });
  }

  // A token that is good for the next half minute at least. refused: one that the server no longer takes.
  accessToken(refused = null) {
    if (this.#access && this.#access.token !== refused && this.#access.until - MARGIN_MS > performance.now())
      return Promise.resolve(this.#access.token);
    this.#renewal ??= exclusively(() => this.#renew()).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #renew() {
    const token = this.signedIn ? await getSecret().catch(unusable) : undefined;

    if (token) {
      try {
        return await this.#keep(await guest.refresh(token));
      } catch (e) {
        if (e.status !== 401) throw e;
      }
    }
    await this.#forget();
    throw new SignedOut();
  }

  async #keep(tokens, email) {
    await (email ? putSession(tokens.refresh_token, email) : putSecret(tokens.refresh_token)).catch(unusable);
    this.#access = {token: tokens.access_token, until: performance.now() + tokens.expires_in * 1000};
    return tokens.access_token;
  }

  async #forget() {
    await endSession().catch(() => {});
    localStorage.removeItem(KEY);
    this.#tell();
  }

  // Another tab may have logged in or out.
  #tell() {
    if (this.email === this.#told) return;
    this.#told = this.email;
    if (!this.signedIn) this.#access = null;
    this.dispatchEvent(new Event('change'));
  }
}

function unusable() {
  throw new ApiError(0, 'no-storage', 'This browser does not let the page keep data, which it needs to stay logged in.');
}

// Locks exist in secure contexts only; elsewhere a second tab may lose its session, and nothing worse.
function exclusively(f) {
  return navigator.locks ? navigator.locks.request(LOCK, f) : f();
}
