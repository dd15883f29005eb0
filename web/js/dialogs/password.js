/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The password again, for what outlives the session or widens it.

import {dialog} from '../parts/dialog.js';
import {passwordField} from '../parts/forms.js';

// Returns what action() returns. If the server wants the password first, asks for it and tries again.
export async function withPassword(api, action) {
  try {
    return await action();
  } catch (e) {
    if (e.problem !== 'reauthentication-required') throw e;
  }
  await askPassword(api);
  return action();
}

function askPassword(api) {
  const secret = passwordField('confirm-password', 'Password', {autocomplete: 'current-password', autofocus: true});

  return new Promise((resolve, reject) => {
    const el = dialog({
      title: 'Enter your password', text: 'You logged in a while ago, or with a code from another device.', fields: [secret.el], button: 'Continue',
      check: () => {
        secret.complain(secret.input.value ? '' : 'Enter your password.');
        return Boolean(secret.input.value);
      },
      submit: async () => {
        await api.account.reauthenticate(secret.input.value);
        resolve();
      },
    });

    el.addEventListener('close', () => reject(new Error('This needs your password.')));
  });
}
