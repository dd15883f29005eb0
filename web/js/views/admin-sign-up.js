/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Who may create an account, and the invitations of all inviters, for administrators.

import {foreign, h} from '../base/dom.js';
import {time} from '../base/time.js';
import {adminPage, pagedTable} from '../parts/admin.js';
import {act, field, form, select} from '../parts/forms.js';
import {section} from '../parts/section.js';
import {inviteSomebody} from '../dialogs/account.js';
import {withPassword} from '../dialogs/password.js';

const MODES = [['closed', 'Closed: only who is invited by an administrator'], ['invite', 'By invitation: all users can invite others, too'],
               ['open', 'Open: everybody who reaches this page']];

export function adminSignUpView({api, announcer}) {
  const mode = section('sign-up-mode', 'Who may create an account', {
    read: () => api.admin.signUp(),
    show: ({sign_up: chosen, configured}) => {
      if (configured)
        return h('p', {}, `${MODES.find(([value]) => value === chosen)?.[1] ?? chosen}. The setting SSI_SIGN_UP of this server decides; change it in serverd.conf.`);
      const choice = field('sign-up-choice', 'Sign-up', select(chosen ? MODES : [['', 'Not chosen yet'], ...MODES], chosen ?? ''));
      return form({
        fields: [choice.el], button: 'Save',
        check: () => {
          choice.complain(choice.value ? '' : 'Choose one.');
          return Boolean(choice.value);
        },
        submit: async () => {
          await withPassword(api, () => api.admin.setSignUp(choice.value));
          announcer.say('Saved.');
          await mode.load();
        },
      });
    },
  });
  const list = pagedTable({
    label: 'Invitations', columns: ['For', 'Invited by', 'Expires', ''],
    read: (path) => api.admin.invitations(path),
    row: (i) => [
      i.email ? foreign('bdi', {}, i.email) : 'Anyone with the link', i.invited_by ? foreign('bdi', {}, i.invited_by) : 'An administrator',
      time(i.expires_at, '', 'due'),
      act('Withdraw', async () => {
        await withPassword(api, () => api.admin.withdrawInvitation(i.id));
        list.load();
      }, `Withdraw the invitation for ${i.email ?? 'anyone'}`),
    ],
    empty: () => 'No invitations that can still be used.',
  });
  const invite = h('button', {type: 'button', on: {click: () => inviteSomebody(api, () => list.load(), (email) => api.admin.invite(email))}}, 'Invite somebody');

  return {
    title: () => 'Sign-up',
    el: adminPage('/admin/sign-up', 'Sign-up', mode.el,
                  h('section', {class: 'part', 'aria-labelledby': 'all-invitations'}, h('h2', {id: 'all-invitations'}, 'Invitations'),
                    list.el, h('p', {class: 'actions'}, invite))),
  };
}
