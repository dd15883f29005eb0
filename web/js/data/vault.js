/* SPDX-License-Identifier: LGPL-2.1-or-later */
// What this browser stores for all tabs, in IndexedDB: the refresh token, and the account's last known state, to be
// shown while there is no connection. A tab reads what another tab wrote before. localStorage does not guarantee
// this: each process of the browser may read its own copy, which lags behind.

const NAME = 'ssi';
const SESSION = 'session';
const LAST_KNOWN = 'last-known';
const TOKEN = 'refresh-token';
const ACCOUNT = 'account';
const SERVERS_MAX = 30; // at most, whose services are kept

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 2);

    request.onupgradeneeded = () => {
      for (const store of [SESSION, LAST_KNOWN])
        if (!request.result.objectStoreNames.contains(store)) request.result.createObjectStore(store);
    };
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const forget = () => {
        opening = null;
      };
      request.result.onclose = forget;
      request.result.onversionchange = () => {
        request.result.close();
        forget();
      };
      resolve(request.result);
    };
  }).catch((e) => {
    opening = null;
    throw e;
  });
  return opening;
}

// f(...stores) may return a request; the promise resolves with its result.
async function transact(mode, names, f, durability = 'relaxed') {
  const db = await open();

  return new Promise((resolve, reject) => {
    const transaction = db.transaction(names, mode, {durability});
    const request = f(...names.map((name) => transaction.objectStore(name)));

    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

export function getSecret() {
  return transact('readonly', [SESSION], (session) => session.get(TOKEN));
}

// strict: after a crash, a lost write would leave a token that has already been used.
export function putSecret(value) {
  return transact('readwrite', [SESSION], (session) => session.put(value, TOKEN), 'strict');
}

// Starts a session. What was stored for another account is deleted.
export function putSession(token, account) {
  return transact('readwrite', [SESSION, LAST_KNOWN], (session, known) => {
    session.get(ACCOUNT).onsuccess = ({target}) => {
      if (target.result !== account) known.clear();
    };
    session.put(token, TOKEN);
    session.put(account, ACCOUNT);
  }, 'strict');
}

// The account of the session goes by another name.
export function putAccount(account) {
  return transact('readwrite', [SESSION], (session) => session.put(account, ACCOUNT));
}

export function endSession() {
  return transact('readwrite', [SESSION, LAST_KNOWN], (session, known) => {
    known.clear();
    session.clear();
  }, 'strict');
}

// {at, items} or undefined. key: 'servers' or the id of a server, for its services.
export function getKnown(key) {
  return transact('readonly', [LAST_KNOWN], (known) => known.get(key));
}

// Only while the account is logged in: another tab may have logged out in the meantime.
export function putKnown(account, key, items) {
  return transact('readwrite', [SESSION, LAST_KNOWN], (session, known) => {
    session.get(ACCOUNT).onsuccess = ({target}) => {
      if (target.result !== account) return;
      known.put({at: Date.now(), items}, key);
      if (key !== 'servers') prune(known);
    };
  });
}

function prune(known) {
  known.count().onsuccess = ({target}) => {
    if (target.result <= SERVERS_MAX + 1) return;
    let oldest = null;
    known.openCursor().onsuccess = (e) => {
      const cursor = e.target.result;
      if (!cursor) {
        known.delete(oldest.key);
        return;
      }
      if (cursor.key !== 'servers' && !(oldest?.at <= cursor.value.at)) oldest = {key: cursor.key, at: cursor.value.at};
      cursor.continue();
    };
  };
}
