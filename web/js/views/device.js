/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The page on a second device that the link of a login code opens.

import {h} from '../base/dom.js';
import {form} from '../parts/forms.js';

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
