/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The code with which a second device logs in. It is in the fragment of a link, which browsers do not send to any server.

import {h, setHidden, setText} from '../base/dom.js';
import {timeElement} from '../base/time.js';
import {browserOf} from '../data/push.js';
import {copyBox, isLocal} from '../parts/command.js';
import {dialog} from '../parts/dialog.js';
import {sentence} from '../parts/forms.js';
import {withPassword} from './password.js';

const PATH = '/device';

// {el, look(sessions)}. sessions: the current ones; look() reports a new one in the dialog.
export function showCode(api, sessions) {
  const known = new Set(sessions.map((s) => s.id));
  const link = h('code', {id: 'device-link'});
  const qr = h('img', {class: 'qr', alt: 'The link as a QR code', width: 200, height: 200});
  const until = timeElement('due');
  const code = h('div', {hidden: true}, qr,
    copyBox('Link', link),
    h('p', {class: 'hint'}, 'Anyone who has this code can log in as you. It works once and expires ', until.el, '.'),
    isLocal() ? h('p', {class: 'notice'}, 'This page is open at an address that works only on this machine; another device cannot open it.') : null);
  const again = h('button', {type: 'button', hidden: true, on: {click: () => make()}}, 'Create another code');
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
      const made = await withPassword(api, () => api.account.loginCode());
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
