/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The account: its sessions, API tokens and password, and how to delete it.

import {foreign, h} from '../base/dom.js';
import {time} from '../base/time.js';
import {browserOf} from '../data/push.js';
import {PASSWORD_MIN, act, field, form, passwordComplaint, passwordField, select} from '../parts/forms.js';
import {plainTable, section} from '../parts/section.js';
import {changeAddress, createToken, deleteAccount, endAllSessions, exportData, inviteSomebody} from '../dialogs/account.js';
import {showCode} from '../dialogs/login-code.js';

const LANGUAGES = [['en', 'English (2026-11-30)'], ['en-GB', 'English, UK (30/11/2026)'], ['en-US', 'English, US (11/30/2026)']];

export function accountView({api, session, announcer, readAccount}) {
  let known = []; // sessions
  let device = null; // the dialog that shows a code
  const invite = h('button', {type: 'button', on: {click: () => {
    device = showCode(api, known);
    device.el.addEventListener('close', () => {
      device = null;
    });
  }}}, 'Log in on another device');
  const sessions = section('sessions', 'Where you are logged in', {
    read: () => api.sessions.list(),
    show: (list) => {
      known = list;
      device?.look(list);
      return sessionsTable(list);
    },
  });

  function sessionsTable(list) {
    return [
      plainTable('Sessions', ['Device', 'Address', 'First used', 'Last used', ''], list.map((s) => [
        [foreign('bdi', {title: s.user_agent}, browserOf(s.user_agent)), s.current ? h('span', {class: 'tag'}, 'This device') : null], s.address ?? '–',
        time(s.created_at), time(s.last_used_at ?? s.created_at),
        s.current ? '' : act('Log out', async () => {
          await api.sessions.end(s.id);
          sessions.load();
        }, `Log out ${browserOf(s.user_agent)} at ${s.address ?? 'an unknown address'}`),
      ])),
      h('p', {class: 'actions'}, invite, list.length > 1 ? act('Log out all others', async () => {
        await api.sessions.endOthers();
        sessions.load();
        announcer.say('All other devices are logged out.');
      }) : null, h('button', {type: 'button', on: {click: () => endAllSessions(api, session)}}, 'Log out everywhere')),
    ];
  }

  const address = addressSection(api);
  const tokens = section('tokens', 'API tokens', {
    about: 'For programs that act on your behalf.',
    read: () => api.tokens.list(),
    show: (list) => [
      list.length ? plainTable('API tokens', ['Name', 'Scopes', 'Last used', 'Expires', ''], list.map((t) => [
        foreign('bdi', {}, t.name), t.scopes.join(', '), time(t.last_used_at, 'Never'), time(t.expires_at, 'Never', 'due'),
        act('Delete', async () => {
          await api.tokens.remove(t.id);
          tokens.load();
        }, `Delete the token ${t.name}`),
      ])) : h('p', {class: 'muted'}, 'No API tokens.'),
      h('p', {class: 'actions'}, h('button', {type: 'button', on: {click: () => createToken(api, () => tokens.load())}}, 'Create a token')),
    ],
  });

  // Only where users may invite.
  const invitations = h('div', {});
  api.features().then(({sign_up: signUp}) => signUp === 'invite' && invitations.append(invitationsSection(api).el), () => {});

  const old = passwordField('current-password', 'Current password', {autocomplete: 'current-password'});
  const fresh = passwordField('new-password', 'New password', {autocomplete: 'new-password'},
                              `At least ${PASSWORD_MIN} characters. All other devices are logged out.`);
  const withdraw = h('input', {type: 'checkbox', id: 'withdraw-tokens'});
  const password = form({
    fields: [h('input', {type: 'email', autocomplete: 'username', hidden: true, value: session.email}), old.el, fresh.el,
             h('p', {class: 'check'}, withdraw, h('label', {for: 'withdraw-tokens'}, 'Also revoke all API tokens'))],
    button: 'Change password',
    check: () => {
      old.complain(old.input.value ? '' : 'Enter your current password.');
      fresh.complain(passwordComplaint(fresh.input.value));
      return old.input.value && !fresh.input.hasAttribute('aria-invalid');
    },
    submit: async () => {
      await api.account.changePassword(old.input.value, fresh.input.value, withdraw.checked);
      old.input.value = fresh.input.value = '';
      announcer.say('Password changed.');
      password.append(h('p', {class: 'hint', role: 'status'}, 'Password changed.'));
      sessions.load();
      if (withdraw.checked) tokens.load();
    },
  });

  const remove = h('button', {type: 'button', class: 'danger', on: {click: () => deleteAccount(api, session)}}, 'Delete account');

  return {
    title: () => 'Account',
    heard: (event) => {
      if (event !== 'sessions' && event !== 'ready') return;
      sessions.load();
      address.load();
    },
    el: h('section', {class: 'page narrow'},
          h('h1', {tabindex: '-1'}, 'Account'), address.el, timesSection(api, readAccount).el, sessions.el, tokens.el, invitations,
          h('section', {class: 'part', 'aria-labelledby': 'password-title'}, h('h2', {id: 'password-title'}, 'Password'), password),
          h('section', {class: 'part', 'aria-labelledby': 'data-title'}, h('h2', {id: 'data-title'}, 'Your data'),
            h('p', {class: 'muted'}, 'All that this server keeps about the account, as a JSON file, without passwords and tokens. The history of services is not in it.'),
            h('p', {class: 'actions'}, act('Download', () => exportData(api)))),
          h('section', {class: 'part', 'aria-labelledby': 'delete-title'}, h('h2', {id: 'delete-title'}, 'Delete the account'),
            h('p', {class: 'muted'}, 'This cannot be undone.'), h('p', {class: 'actions'}, remove))),
  };
}

function addressSection(api) {
  const self = section('address', 'Address', {
    read: () => api.account.show(),
    show: ({email, email_change: change}) => {
      return [
        h('p', {}, foreign('bdi', {}, email)),
        change ? h('p', {class: 'notice', role: 'status'}, foreign('bdi', {}, change.email), ' becomes the address when the link in the mail to it is opened. The link ends ',
                   time(change.expires_at, '', 'due'), '.') : null,
        h('p', {class: 'actions'},
          h('button', {type: 'button', on: {click: () => changeAddress(api, () => self.load())}}, 'Change the address'),
          change ? act('Keep the present one', async () => {
            await api.account.keepAddress();
            self.load();
          }) : null),
      ].filter(Boolean);
    },
  });
  return self;
}

// read(): applies the settings to all that is shown.
function timesSection(api, read) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

  return section('times', 'Dates and times', {
    about: 'In the dashboard, and in messages.',
    read: () => api.account.show(),
    show: ({time_zone: used, language, clock}) => {
      const zones = [...new Set([...Intl.supportedValuesOf('timeZone'), 'UTC', ...(used ? [used] : [])])].sort();
      const zone = field('time-zone', 'Time zone', select([['', `That of the browser (${own}; UTC in messages)`], ...zones.map((z) => [z, z.replaceAll('_', ' ')])], used ?? ''));
      const order = field('language', 'Language and order of dates', select(LANGUAGES, language));
      const hours = field('clock', 'Clock', select([['24', '24 hours (15:30)'], ['12', '12 hours (3:30 PM)']], String(clock)));
      return [form({
        fields: [zone.el, order.el, hours.el], button: 'Save',
        submit: async () => {
          await api.account.change({time_zone: zone.input.value || null, language: order.input.value, clock: Number(hours.input.value)});
          await read();
        },
      })];
    },
  });
}

function invitationsSection(api) {
  const self = section('invitations', 'Invitations', {
    about: 'A new account on this server needs an invitation.',
    read: async () => (await api.invitations.list()).filter((i) => !i.used_at && Date.parse(i.expires_at) > Date.now()),
    show: (list) => [
      list.length ? plainTable('Invitations', ['For', 'Expires', ''], list.map((i) => [
        i.email ? foreign('bdi', {}, i.email) : 'Anyone with the link', time(i.expires_at, '', 'due'),
        act('Withdraw', async () => {
          await api.invitations.remove(i.id);
          self.load();
        }, `Withdraw the invitation for ${i.email ?? 'anyone'}`),
      ])) : h('p', {class: 'muted'}, 'No invitations that can still be used.'),
      h('p', {class: 'actions'}, h('button', {type: 'button', on: {click: () => inviteSomebody(api, () => self.load())}}, 'Invite somebody')),
    ],
  });
  return self;
}
