// Keeps one secret for all tabs, in IndexedDB: what one tab has put is what the next tab gets. localStorage promises
// no such thing, because each process of a browser may read a copy of its own that lags behind.

const NAME = 'ssi';
const STORE = 'session';
const KEY = 'refresh-token';

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);

    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
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

async function transact(mode, f) {
  const db = await open();

  return new Promise((resolve, reject) => {
    // strict: the token that a crash would bring back has been spent by then.
    const transaction = db.transaction(STORE, mode, {durability: 'strict'});
    const request = f(transaction.objectStore(STORE));

    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

export function getSecret() {
  return transact('readonly', (store) => store.get(KEY));
}

export function putSecret(value) {
  return transact('readwrite', (store) => store.put(value, KEY));
}

export function deleteSecret() {
  return transact('readwrite', (store) => store.delete(KEY));
}
