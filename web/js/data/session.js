/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The session. The access token is kept in memory. The refresh token is shared by all tabs and rotated at each use, and
// reusing an old one ends the session: so only one tab at a time renews, with the token that is stored *then*.

import {guest} from './api.js';
import {ApiError, SignedOut} from './http.js';
import {unsubscribe} from './push.js';
import {endSession, getSecret, putAccount, putSecret, putSession} from './vault.js';

const KEY = 'ssi.session'; // in localStorage: {email}; present while logged in
const LOCK = 'ssi.session.renew';
const MARGIN_MS = 30000;

export class Session extends EventTarget {
  #access = null; // {token, until} by performance.now()
  #renewal = null;
  #announced = this.email; // the e-mail address at the last 'change'

  constructor() {
    super();
    addEventListener('storage', (e) => {
      if (e.key === KEY || e.key === null) this.#announce();
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

  // Returns false if the address must be confirmed first, with the link in a mail.
  async signUp(email, password, admission) {
    if ((await guest.signUp(email, password, admission)).status === 202) return false;
    await this.logIn(email, password);
    return true;
  }

  async logIn(email, password) {
    await this.#begin(await guest.logIn(email, password), email);
  }

  // code: as shown on another device.
  async logInWithCode(code) {
    const tokens = await guest.logInWithCode(code);
    const {email} = await guest.me(tokens.access_token);

    await this.#begin(tokens, email);
  }

  async #begin(tokens, email) {
    await exclusively(() => this.#keep(tokens, email));
    localStorage.setItem(KEY, JSON.stringify({email}));
    this.#announce();
  }

  // The account has another address now.
  async rename(email) {
    if (!this.signedIn || email === this.email) return;
    await exclusively(() => putAccount(email)).catch(() => {}); // only the state for later visits is lost
    localStorage.setItem(KEY, JSON.stringify({email}));
    this.#announce();
  }

  async logOut() {
    await unsubscribe().catch(() => {}); // this device gets no more notifications of this account
    // Under the lock: a renewal in progress would store a token that outlives the session.
    await exclusively(async () => {
      const token = await getSecret().catch(() => undefined);

      await this.#forget();
      // The server revokes the token if it can be reached; this browser has deleted it in any case.
      if (token) await guest.logOut(token).catch(() => {});
    });
  }

  // A token that is valid for at least another half minute. refused: one that the server has rejected.
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
    this.#announce();
  }

  // Another tab may have logged in or out.
  #announce() {
    if (this.email === this.#announced) return;
    this.#announced = this.email;
    if (!this.signedIn) this.#access = null;
    this.dispatchEvent(new Event('change'));
  }
}

function unusable() {
  throw new ApiError(0, 'no-storage', 'This browser does not let the page store data, which is needed to stay logged in.');
}

// Locks exist only in secure contexts; elsewhere, the worst case is that a second tab is logged out.
function exclusively(f) {
  return navigator.locks ? navigator.locks.request(LOCK, f) : f();
}
