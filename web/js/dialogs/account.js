/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The dialogs of the account's page.

import {h} from '../base/dom.js';
import {copyBox} from '../parts/command.js';
import {dialog} from '../parts/dialog.js';
import {AS_TYPED, field, passwordField} from '../parts/forms.js';
import {withPassword} from './password.js';

const SCOPES = [['read', 'Read everything'], ['servers:register', 'Register servers'], ['write', 'Change everything']];

export function endAllSessions(api, session) {
  dialog({
    title: 'Log out everywhere?', text: 'You will have to log in again on every device, including this one.', button: 'Log out everywhere', danger: true,
    submit: async () => {
      await api.sessions.endAll();
      await session.logOut();
    },
  });
}

export function createToken(api, done) {
  const name = field('token-name', 'Name', h('input', {autocomplete: 'off', maxlength: '64', autofocus: true}));
  const boxes = SCOPES.map(([scope, text], i) => {
    const input = h('input', {type: 'checkbox', id: `scope-${i}`, checked: i === 0});
    return {scope, input, el: h('p', {class: 'check'}, input, h('label', {for: `scope-${i}`}, text))};
  });
  const scopes = h('fieldset', {}, h('legend', {}, 'Permissions'), boxes.map((b) => b.el));

  dialog({
    title: 'Create an API token', fields: [name.el, scopes], button: 'Create token',
    check: () => {
      name.complain(name.value ? '' : 'Enter a name.');
      return Boolean(name.value);
    },
    submit: async () => {
      const made = await withPassword(api, () => api.tokens.create(name.value, boxes.filter((b) => b.input.checked).map((b) => b.scope)));
      done();
      showSecret(made.token);
    },
  });
}

function showSecret(token) {
  dialog({title: 'Your new token', text: 'It is shown only once.', button: 'Done', fields: [copyBox('Token', h('code', {}, token))]});
}

// invite(email): as who invites.
export function inviteSomebody(api, done, invite = (email) => api.invitations.create(email)) {
  const email = field('invite-email', 'E-mail (optional)', h('input', {type: 'email', ...AS_TYPED, inputmode: 'email', maxlength: '254', autofocus: true}),
                      'With an address, only this address can use the invitation.');

  dialog({
    title: 'Invite somebody', fields: [email.el], button: 'Invite',
    check: () => {
      email.complain(email.input.validity.typeMismatch ? 'Enter a valid e-mail address.' : '');
      return !email.input.validity.typeMismatch;
    },
    submit: async () => {
      const made = await withPassword(api, () => invite(email.value));
      const link = `${location.origin}/signup#invitation=${made.token}`;

      done();
      dialog({
        title: 'The link of the invitation', button: 'Done', fields: [copyBox('Link', h('code', {}, link))],
        text: `With it, ${email.value || 'anyone'} can create an account, once. It is shown only now.`
          + (made.mailed ? ' A mail with a link is on its way, too.' : ''),
      });
    },
  });
}

export function changeAddress(api, done) {
  const email = field('new-email', 'New address', h('input', {type: 'email', ...AS_TYPED, inputmode: 'email', maxlength: '254', autofocus: true}),
                      'A mail with a link goes there. The present address gets one, too, with which the change can be undone for 7 days.');

  dialog({
    title: 'Change the address', fields: [email.el], button: 'Send e-mail',
    check: () => {
      const valid = email.value && !email.input.validity.typeMismatch;
      email.complain(valid ? '' : 'Enter a valid e-mail address.');
      return valid;
    },
    submit: async () => {
      await withPassword(api, () => api.account.changeAddress(email.value));
      done();
    },
  });
}

export async function exportData(api) {
  const data = await withPassword(api, () => api.account.export());
  const link = h('a', {href: URL.createObjectURL(data), download: `ssi-account-${new Date().toISOString().slice(0, 10)}.json`});

  link.click();
  URL.revokeObjectURL(link.href);
}

export function deleteAccount(api, session) {
  const secret = passwordField('delete-password', 'Password', {autocomplete: 'current-password', autofocus: true});

  dialog({
    title: 'Delete the account?', text: 'Servers, services, history and tokens are deleted immediately, and agents are rejected.',
    fields: [secret.el], button: 'Delete everything', danger: true,
    check: () => {
      secret.complain(secret.input.value ? '' : 'Enter your password.');
      return Boolean(secret.input.value);
    },
    submit: async () => {
      await api.account.remove(secret.input.value);
      await session.logOut();
    },
  });
}
