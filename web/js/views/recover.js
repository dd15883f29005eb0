/* SPDX-License-Identifier: LGPL-2.1-or-later */
// A forgotten password, and the pages that links in e-mails open.

import {h} from '../base/dom.js';
import {guest} from '../data/api.js';
import {PASSWORD_MIN, field, form, passwordComplaint, sentence} from '../parts/forms.js';

const tokenOf = () => new URLSearchParams(location.search).get('token') ?? '';

function page(title, ...children) {
  return {title: () => title, el: h('section', {class: 'page auth-page'}, h('h1', {tabindex: '-1'}, title), children)};
}

export function forgottenView() {
  const email = field('email', 'E-mail', h('input', {type: 'email', autocomplete: 'username', inputmode: 'email', autofocus: true, maxlength: '254'}));
  const view = page('Reset your password', h('p', {class: 'description'}, 'You will get an e-mail with a link to choose a new one.'), form({
    fields: [email.el], button: 'Send e-mail',
    check: () => {
      email.complain(email.value && !email.input.validity.typeMismatch ? '' : 'Enter your e-mail address.');
      return !email.input.hasAttribute('aria-invalid');
    },
    submit: async () => {
      await guest.requestPasswordReset(email.value);
      view.el.replaceChildren(view.el.firstChild, h('p', {role: 'status'}, 'If there is an account with this address, an e-mail is on its way.'));
    },
  }), h('p', {class: 'aside'}, h('a', {href: '/login'}, 'Log in')));
  return view;
}

export function resetView({router}) {
  const fresh = field('new-password', 'New password', h('input', {type: 'password', autocomplete: 'new-password', autofocus: true}),
                      `At least ${PASSWORD_MIN} characters. All devices are logged out.`);
  return page('Choose a new password', form({
    fields: [fresh.el], button: 'Change password',
    check: () => {
      fresh.complain(passwordComplaint(fresh.input.value));
      return !fresh.input.hasAttribute('aria-invalid');
    },
    submit: async () => {
      await guest.resetPassword(tokenOf(), fresh.input.value);
      router.go('/login', {replace: true});
    },
  }));
}

export function verifyView() {
  const words = h('p', {role: 'status'}, 'One moment …');
  guest.verifyEmail(tokenOf()).then(() => {
    words.textContent = 'The address is confirmed. Thank you.';
  }, (e) => {
    words.textContent = e.problem === 'bad-mail-token' ? 'This link has already been used or has expired.' : sentence(e);
  });
  return page('E-mail address', words, h('p', {class: 'aside'}, h('a', {href: '/'}, 'Go to servers')));
}
