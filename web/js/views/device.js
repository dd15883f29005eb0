/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The page on a second device that the link of a login code opens.

import {h} from '../base/dom.js';
import {form} from '../parts/forms.js';

// Asks before it logs in: with such a link, an attacker could make others work in the attacker's account.
export function deviceView({session, router}) {
  const code = location.hash.slice(1);
  const scanned = () => router.reload();
  const body = session.signedIn
    ? [h('p', {class: 'description'}, 'This device is already logged in as ', h('bdi', {}, session.email), '. To use another account, log out first.'),
       h('p', {}, h('a', {class: 'button primary', href: '/'}, 'Go to servers'))]
    : code
      ? [h('p', {class: 'description'}, 'Continue only if the code was shown on a screen of yours.'),
         form({fields: [], button: 'Log in on this device', submit: async () => {
           await session.logInWithCode(code);
           router.go('/', {replace: true});
         }})]
      : [h('p', {class: 'description'}, 'On a device that is logged in, open “Account”, choose “Log in on another device”, and scan the code with this device.'),
         h('p', {}, h('a', {href: '/login'}, 'Log in with a password'))];

  if (code) history.replaceState(null, '', location.pathname); // keeps the code out of the history
  addEventListener('hashchange', scanned);
  return {
    title: () => 'Log in on this device',
    destroy: () => removeEventListener('hashchange', scanned),
    el: h('section', {class: 'page auth-page'}, h('h1', {tabindex: '-1'}, session.signedIn ? 'Logged in' : 'Log in on this device'), body),
  };
}
