/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Addresses to views, with the History API.

export class Router {
  #routes = [];
  #onRoute;
  #shown = null;

  // onRoute(handler, params, {path, restored}): restored if the user went back or forward.
  constructor(onRoute) {
    this.#onRoute = onRoute;
  }

  // pattern: '/servers/:id'. The first match wins; '*' matches everything.
  add(pattern, handler) {
    const names = [];
    const source = pattern === '*' ? '.*' : pattern.replace(/:(\w+)/g, (_, name) => {
      names.push(name);
      return '([^/]+)';
    });
    this.#routes.push({expression: new RegExp(`^${source}$`), names, handler});
    return this;
  }

  start() {
    addEventListener('popstate', () => {
      if (location.pathname !== this.#shown) this.#show(true);
    });
    document.addEventListener('click', (e) => this.#click(e));
    this.#show(false);
  }

  go(path, {replace = false} = {}) {
    if (replace || path === location.pathname + location.search) history.replaceState(null, '', path);
    else history.pushState(null, '', path);
    this.#show(false);
  }

  reload() {
    this.#show(false);
  }

  #click(e) {
    const link = e.target.closest?.('a[href]');

    if (!link || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    if (link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname) return;
    e.preventDefault();
    this.go(link.pathname + link.search);
  }

  #show(restored) {
    const path = location.pathname;

    this.#shown = path;
    for (const {expression, names, handler} of this.#routes) {
      const match = expression.exec(path.length > 1 ? path.replace(/\/+$/, '') : path);
      const params = match && decode(names, match.slice(1));

      if (params) return this.#onRoute(handler, params, {path, restored});
    }
  }
}

function decode(names, values) {
  try {
    return Object.fromEntries(names.map((name, i) => [name, decodeURIComponent(values[i])]));
  } catch {
    return null; // a stray '%'
  }
}

export function serverPath(id) {
  return `/servers/${encodeURIComponent(id)}`;
}

export function servicePath(id, name) {
  return `${serverPath(id)}/services/${encodeURIComponent(name)}`;
}

export function publicPath(token) {
  return `/status/${token}`;
}

// Where to go after logging in: only ever a path of this site.
export function safeNext(search) {
  const next = new URLSearchParams(search).get('next') ?? '/';
  try {
    const url = new URL(next, location.origin);
    return url.origin === location.origin && next.startsWith('/') ? url.pathname + url.search : '/';
  } catch {
    return '/';
  }
}
