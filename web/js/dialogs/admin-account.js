/* SPDX-License-Identifier: LGPL-2.1-or-later */
// What an administrator does with an account.

import {h} from '../base/dom.js';
import {dialog} from '../parts/dialog.js';
import {act} from '../parts/forms.js';
import {withPassword} from './password.js';

// own: whether it is the administrator's own account. done() is called after a change.
export function manageAccount(api, account, own, done) {
  const {admin} = api;
  const choice = (text, about, f) => h('div', {class: 'choice'}, act(text, f), h('p', {class: 'hint'}, about));
  const change = (f) => async () => {
    await withPassword(api, f);
    el.close();
    done();
  };
  const choices = [
    account.administrator
      ? choice('Revoke administration', 'It stays an account like any other.', change(() => admin.revoke(account.id)))
      : choice('Make an administrator', 'Sees these pages, and may do what they offer.', change(() => admin.grant(account.id))),
    choice('Mail a link for a new password', 'Until it is used, the old password works.', async () => {
      await withPassword(api, () => admin.mailReset(account.id));
      el.close();
      dialog({title: 'A mail is on its way', text: `To ${account.email}. Its link is valid for an hour.`, button: 'Done'});
    }),
  ];

  if (!own) {
    choices.push(account.locked_at
      ? choice('Unlock', 'Its owner can log in again.', change(() => admin.unlock(account.id)))
      : choice('Lock', 'Logs it out everywhere at once, and lets nobody log in. Its servers report as before.', change(() => admin.lock(account.id))),
    choice('Delete …', 'With its servers and their history.', async () => {
      el.close();
      removeAccount(api, account, done);
    }));
  }
  const el = dialog({title: account.email, text: own ? 'This is your account.' : null, fields: choices, button: 'Close'});
}

function removeAccount(api, account, done) {
  dialog({
    title: `Delete ${account.email}?`, text: 'Its servers, services, history and tokens are deleted immediately, and agents are rejected.',
    button: 'Delete everything', danger: true,
    submit: async () => {
      await withPassword(api, () => api.admin.removeAccount(account.id));
      done();
    },
  });
}
