/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The service worker: serves the page itself while there is no network, and shows notifications. It never sees or stores
// answers of the API; the page stores the last known state of an account (js/data/vault.js) and deletes it at log-out.

const CACHE = 'ssi-shell-1';
const SLOW_MS = 4000; // after which a stored copy is used instead
// All files of the page. A test compares this list with the folder.
const SHELL = [
  '/', '/admin.css', '/app.css', '/theme.js', '/favicon.svg', '/manifest.webmanifest', '/icons/icon-192.png',
  '/js/chrome.js', '/js/main.js',
  '/js/base/dom.js', '/js/base/filter.js', '/js/base/icons.js', '/js/base/router.js', '/js/base/status.js',
  '/js/base/time.js',
  '/js/data/api.js', '/js/data/http.js', '/js/data/push.js', '/js/data/session.js', '/js/data/sse.js', '/js/data/store.js',
  '/js/data/stream.js', '/js/data/times.js', '/js/data/vault.js',
  '/js/dialogs/account.js', '/js/dialogs/admin-account.js', '/js/dialogs/channel.js', '/js/dialogs/login-code.js', '/js/dialogs/password.js',
  '/js/dialogs/server.js', '/js/dialogs/silence.js', '/js/dialogs/team.js',
  '/js/parts/admin.js', '/js/parts/command.js', '/js/parts/dialog.js', '/js/parts/filterbar.js', '/js/parts/forms.js', '/js/parts/lines.js',
  '/js/parts/notice.js', '/js/parts/rows.js', '/js/parts/section.js', '/js/parts/timeline.js',
  '/js/views/account.js', '/js/views/admin-accounts.js', '/js/views/admin-announcements.js', '/js/views/admin-audit.js', '/js/views/admin-overview.js', '/js/views/admin-sign-up.js', '/js/views/auth.js', '/js/views/device.js', '/js/views/not-found.js', '/js/views/notifications.js',
  '/js/views/overview.js', '/js/views/public.js', '/js/views/recover.js', '/js/views/register.js', '/js/views/server.js',
  '/js/views/service.js', '/js/views/silences.js', '/js/views/team.js', '/js/views/teams.js',
];

addEventListener('install', (e) => {
  e.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(SHELL.map((path) => new Request(path, {cache: 'no-cache'})));
    await skipWaiting();
  })());
});

addEventListener('activate', (e) => {
  e.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
    await clients.claim();
  })());
});

addEventListener('fetch', (e) => {
  const {origin, pathname} = new URL(e.request.url);
  const path = e.request.mode === 'navigate' && isPage(pathname) ? '/' : pathname;

  if (e.request.method === 'GET' && origin === location.origin && SHELL.includes(path))
    e.respondWith(newestOf(e, path, path === pathname));
});

// The server answers all of these addresses with the same page.
function isPage(path) {
  return !/^\/(api\/|healthz$|readyz$|metrics$|public\/)|\.[^/]*$/.test(path);
}

// The server's version whenever it can be reached, so that a page does not mix two versions while there is a network.
async function newestOf(e, path, keep) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path);
  const fresh = fetch(e.request).then((response) => {
    if (keep && response.ok && !response.redirected) e.waitUntil(cache.put(path, response.clone()));
    // 502 and similar: a proxy in front of a server that is restarting
    return response.status >= 500 && kept ? kept : response;
  });

  if (!kept) return fresh;
  const late = new Promise((resolve) => setTimeout(() => resolve(kept.clone()), SLOW_MS));
  return Promise.race([fresh.catch(() => kept), late]);
}

// {id, title, body, url, tag, severity}; a newer message replaces an older one with the same tag.
addEventListener('push', (e) => {
  let message = {};
  try {
    message = e.data.json();
  } catch {
    // a push message without content must still show something
  }
  e.waitUntil(registration.showNotification(message.title ?? 'Service Status Indicator', {
    body: message.body ?? '', tag: message.tag, renotify: Boolean(message.tag), icon: '/icons/icon-192.png', badge: '/icons/badge-96.png',
    data: {path: pathOf(message.url)}, requireInteraction: message.severity >= 3,
  }));
});

// Only ever a page of this site.
function pathOf(address) {
  try {
    const url = new URL(address, location.origin);
    return url.origin === location.origin ? url.pathname + url.search : '/';
  } catch {
    return '/';
  }
}

addEventListener('notificationclick', (e) => {
  e.notification.close();
  e.waitUntil((async () => {
    // With the origin, because a path may begin with two slashes.
    const address = location.origin + e.notification.data.path;
    for (const client of await clients.matchAll({type: 'window'})) {
      if (!client.navigate) continue;
      const shown = await client.navigate(address).catch(() => null);
      if (shown) return shown.focus();
    }
    return clients.openWindow(address);
  })());
});
