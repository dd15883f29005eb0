/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The frame of every page: theme, account, the state of the live connection, announcements.

import {h, setAttribute, setHidden, setText} from './base/dom.js';
import {icon} from './base/icons.js';
import {LINK_WORDS, WORDS, plural} from './base/status.js';
import {absolute, clock, now, span} from './base/time.js';

const THEMES = ['system', 'light', 'dark'];
const THEME_KEY = 'ssi.theme';
const SLOW_MS = 3000; // a connection that takes longer is announced
const DAY_MS = 24 * 60 * 60 * 1000;
const byId = (id) => document.getElementById(id);

export function setUpTheme() {
  const button = byId('theme');
  const stored = () => {
    try {
      const theme = localStorage.getItem(THEME_KEY);
      return THEMES.includes(theme) ? theme : 'system';
    } catch {
      return 'system';
    }
  };
  let theme = stored();
  const show = () => {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.replaceChildren(icon(theme));
    setAttribute(button, 'aria-label', `Theme: ${theme}`);
    button.title = `Theme: ${theme}`;
  };

  button.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try {
      if (theme === 'system') localStorage.removeItem(THEME_KEY);
      else localStorage.setItem(THEME_KEY, theme);
    } catch {
      // Storage is blocked: the choice lasts until the page is closed.
    }
    show();
  });
  addEventListener('storage', (e) => {
    if (e.key !== THEME_KEY) return;
    theme = stored();
    show();
  });
  show();
}

export function setUpAccount(session) {
  const menu = byId('account');

  menu.querySelector('summary').append(icon('person'));
  for (const link of menu.querySelectorAll('a')) {
    link.addEventListener('click', () => {
      menu.open = false;
    });
  }
  byId('logout').addEventListener('click', () => {
    menu.open = false;
    session.logOut();
  });
  document.addEventListener('click', (e) => {
    if (menu.open && !menu.contains(e.target)) menu.open = false;
  });
  menu.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape' || !menu.open) return;
    menu.open = false;
    menu.querySelector('summary').focus();
  });
}

export function showAccount(session) {
  setText(byId('account-email'), session.email);
  for (const el of document.querySelectorAll('[data-signed-in]')) setHidden(el, !session.signedIn);
  if (!session.signedIn) setHidden(byId('banner'), true);
}

// Whether the menu has the pages for administrators.
export function showAdministration(shown) {
  setHidden(byId('administration'), !shown);
}

// What administrators tell all users: [{id, text}]. New ones are spoken.
export function showAnnouncements(list, announcer) {
  const el = byId('announcements');
  const before = new Set([...el.children].map((p) => p.dataset.id));
  const fresh = list.filter(({id}) => !before.has(id));

  if (fresh.length || before.size !== list.length) {
    el.replaceChildren(...list.map(({id, text}) => h('p', {data: {id}, dir: 'auto'}, text)));
    if (fresh.length) announcer.say(fresh.map(({text}) => text).join(' '));
  }
  setHidden(el, !list.length);
}

export function showPlace(path) {
  for (const link of document.querySelectorAll('.top-nav a')) {
    const inside = link.pathname === '/' ? path.startsWith('/servers') : path.startsWith(`${link.pathname}/`);
    setAttribute(link, 'aria-current', link.pathname === path ? 'page' : inside ? 'true' : null);
  }
}

// The mark in the header and, while the page is not live, the banner below it.
export class LinkState {
  #mark = byId('link');
  #banner = byId('banner');
  #word = h('span', {class: 'word'});
  #text = h('p');
  #stream = null;
  #store;
  #wasLive = false;

  constructor(announcer, store, onRetry) {
    this.announcer = announcer;
    this.#store = store;
    this.#mark.append(h('span', {class: 'hidden'}, 'Live connection: '), this.#word);
    this.#banner.append(this.#text, h('button', {type: 'button', on: {click: onRetry}}, 'Try now'));
    setInterval(() => this.#showBanner(), 1000);
  }

  show(stream) {
    const words = {connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting', offline: 'Offline'};
    const before = this.#mark.dataset.state;

    this.#stream = stream;
    this.#mark.dataset.state = stream.state;
    setText(this.#word, words[stream.state]);
    if (before !== stream.state && this.#wasLive) {
      if (stream.state === 'live') this.announcer.say('Live updates resumed.');
      else if (before === 'live') this.announcer.say('Live updates stopped. Reconnecting.');
    }
    this.#wasLive ||= stream.state === 'live';
    this.#showBanner();
  }

  #showBanner() {
    const stream = this.#stream;
    const slow = stream?.state === 'connecting' && performance.now() - stream.since > SLOW_MS;
    const quiet = !stream || stream.state === 'live' || (stream.state === 'connecting' && !slow) || this.#mark.hidden;

    setHidden(this.#banner, quiet);
    if (quiet) return;
    const at = stream.heardAt ?? this.#store.keptAt;
    const known = at ? `Showing the state as of ${now() - at > DAY_MS ? absolute(at) : clock(at)}.` : '';
    const next = stream.state === 'offline' ? 'This device is offline.' : stream.retryAt > Date.now()
      ? `Next attempt in ${span((stream.retryAt - Date.now()) / 1000 + 0.5)}.` : 'Connecting …';
    setText(this.#text, `Not live. ${known} ${next}`.replace(/ {2,}/g, ' '));
  }
}

// The page's one polite live region. Changes are gathered for a moment; many of them are summarized.
export class Announcer {
  #el = byId('announcer');
  #turns = [];
  #timer = 0;

  say(text) {
    this.#el.textContent = '';
    this.#el.append(text);
  }

  turn({kind, after, server}) {
    const name = kind === 'server' ? after.name : `${after.title || after.name}${server ? ` on ${server.name}` : ''}`;
    const state = kind === 'server' ? LINK_WORDS[after.state] : WORDS[after.status] ?? WORDS.none;

    this.#turns.push(`${name}: ${state}.`);
    this.#timer ||= setTimeout(() => this.#sayTurns(), 1500);
  }

  #sayTurns() {
    const turns = this.#turns;

    this.#turns = [];
    this.#timer = 0;
    this.say(turns.length <= 3 ? turns.join(' ') : `${plural(turns.length, 'status', 'statuses')} changed.`);
  }
}
