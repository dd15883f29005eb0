/* SPDX-License-Identifier: LGPL-2.1-or-later */
// A second device: the code that a logged-in browser shows, and the page that its link opens. The code stands in the
// fragment of the link, which browsers send to nobody.

import {copyText, h, setHidden, setText} from '../base/dom.js';
import {dialog, form, sentence} from '../parts/forms.js';
import {browserOf} from '../data/push.js';
import {timeElement} from '../base/time.js';
import {isLocal} from './register.js';

const PATH = '/device';

// A dialog with a code: {el, look(sessions)}. sessions: those that there are; look() says so when there is one more.
export function showCode(api, sessions) {
  const known = new Set(sessions.map((s) => s.id));
  const link = h('code', {id: 'device-link'});
  const qr = h('img', {class: 'qr', alt: 'The link as a QR code', width: 200, height: 200});
  const copy = h('button', {type: 'button', class: 'copy', on: {click: async () => {
    setText(copy, await copyText(link.textContent, link) ? 'Copied' : 'Selected');
  }}}, 'Copy');
  const until = timeElement('due');
  const code = h('div', {hidden: true}, qr,
    h('div', {class: 'command'}, h('pre', {tabindex: '0', role: 'region', 'aria-label': 'Link'}, link), copy),
    h('p', {class: 'hint'}, 'Whoever has it can log in as you. It works once and expires ', until.el, '.'),
    isLocal() ? h('p', {class: 'notice'}, 'You opened this page by an address of this machine alone, which another device cannot open.') : null);
  const again = h('button', {type: 'button', hidden: true, on: {click: () => make()}}, 'Make another code');
  const words = h('p', {role: 'status'});
  const el = dialog({title: 'Log in on another device', text: 'Scan this with the other device, or open the link there.', button: 'Close',
                     fields: [code, words, again]});
  let timer = 0;

  function end(text) {
    clearTimeout(timer);
    setHidden(code, true);
    setHidden(again, false);
    setText(words, text);
  }

  async function make() {
    setHidden(again, true);
    setText(words, '');
    try {
      const made = await api.post('/api/v1/users/login-codes', {});
      setText(link, `${location.origin}${PATH}#${made.code}`);
      qr.src = await api.qr(link.textContent);
      until.set(new Date(Date.now() + made.expires_in * 1000).toISOString());
      timer = setTimeout(() => end('The code has expired.'), made.expires_in * 1000);
      setHidden(code, false);
    } catch (e) {
      end(sentence(e));
    }
  }

  el.addEventListener('close', () => clearTimeout(timer));
  make();
  return {
    el,
    look(now) {
      const more = now.find((s) => !known.has(s.id));

      if (!more) return;
      for (const s of now) known.add(s.id);
      end(`${browserOf(more.user_agent)} is logged in.`);
    },
  };
}

// Asks before it does it: whoever sends such a link could have others work in the sender's account.
export function deviceView({session, router}) {
  const code = location.hash.slice(1);
  const scanned = () => router.reload();
  const body = session.signedIn
    ? [h('p', {class: 'description'}, 'This device is logged in as ', h('bdi', {}, session.email), ' already. For another account, log out first.'),
       h('p', {}, h('a', {class: 'button primary', href: '/'}, 'To the servers'))]
    : code
      ? [h('p', {class: 'description'}, 'Continue only if the code comes from a screen of your own.'),
         form({fields: [], button: 'Log in on this device', submit: async () => {
           await session.logInWithCode(code);
           router.go('/', {replace: true});
         }})]
      : [h('p', {class: 'description'}, 'Open “Account” where you are logged in, choose “Log in on another device”, and scan the code there with this one.'),
         h('p', {}, h('a', {href: '/login'}, 'Log in with the password'))];

  if (code) history.replaceState(null, '', location.pathname); // not for the history
  addEventListener('hashchange', scanned);
  return {
    title: () => 'Log in on this device',
    destroy: () => removeEventListener('hashchange', scanned),
    el: h('section', {class: 'page auth-page'}, h('h1', {tabindex: '-1'}, session.signedIn ? 'Logged in' : 'Log in on this device'), body),
  };
}
