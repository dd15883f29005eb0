/* SPDX-License-Identifier: LGPL-2.1-or-later */
// A forgotten password, and the pages that links in e-mails open.

import {h} from '../base/dom.js';
import {guest} from '../data/api.js';
import {PASSWORD_MIN, field, form, passwordComplaint, passwordField, sentence} from '../parts/forms.js';

// After #, so that no server or proxy sees it in an address.
const tokenOf = () => new URLSearchParams(location.hash.slice(1)).get('token') ?? '';

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

export function resetView() {
  const fresh = passwordField('new-password', 'New password', {autocomplete: 'new-password', autofocus: true},
                              `At least ${PASSWORD_MIN} characters. All devices are logged out.`);
  const el = form({
    fields: [fresh.el], button: 'Change password',
    check: () => {
      fresh.complain(passwordComplaint(fresh.input.value));
      return !fresh.input.hasAttribute('aria-invalid');
    },
    submit: async () => {
      const {withdrawn, review} = await guest.resetPassword(tokenOf(), fresh.input.value);

      el.replaceWith(
        h('p', {role: 'status'}, `The password is changed. All devices are logged out, and ${withdrawn.api_tokens} API tokens are revoked.`),
        h('p', {}, 'Review what else the account has, in case somebody else added to it: '
          + `channels (${review.channels}), browsers that get notifications (${review.push_subscriptions}), `
          + `and servers with their public pages (${review.servers}).`),
        h('p', {class: 'aside'}, h('a', {href: '/login'}, 'Log in')));
    },
  });
  return page('Choose a new password', el);
}

export function verifyView() {
  return linkView('E-mail address', (token) => guest.verifyEmail(token), 'The address is confirmed. Thank you.');
}

export function confirmAddressView() {
  return linkView('New e-mail address', (token) => guest.confirmAddress(token), 'This is the address of your account from now on. Log in with it.',
                  {'email-taken': 'Another account has this address.'});
}

// A page that uses the link's token at once.
function linkView(title, use, done, problems = {}) {
  const words = h('p', {role: 'status'}, 'One moment …');

  use(tokenOf()).then(() => {
    words.textContent = done;
  }, (e) => {
    words.textContent = problems[e.problem] ?? (e.problem === 'bad-mail-token' ? 'This link has already been used or has expired.' : sentence(e));
  });
  return page(title, words, h('p', {class: 'aside'}, h('a', {href: '/'}, 'Go to servers')));
}
