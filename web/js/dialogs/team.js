/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The dialogs of the pages of teams.

import {h} from '../base/dom.js';
import {copyBox} from '../parts/command.js';
import {dialog} from '../parts/dialog.js';
import {AS_TYPED, field, select} from '../parts/forms.js';
import {withPassword} from './password.js';

// From the least to the most. Each may do what those before it may.
const ROLES = [
  ['viewer', 'Viewer: sees everything'],
  ['operator', 'Operator: acknowledges and silences'],
  ['admin', 'Admin: changes servers, channels and members'],
  ['owner', 'Owner: deletes the team, makes owners'],
];

export const hasRole = (team, role) => ROLES.findIndex(([r]) => r === team.role) >= ROLES.findIndex(([r]) => r === role);

// name: the present one, if there is one.
export function askTeamName({title, button, name = '', submit}) {
  const input = field('team-name', 'Name', h('input', {value: name, maxlength: '64', autocomplete: 'off', autofocus: true}));

  dialog({
    title, button, fields: [input.el],
    check: () => {
      input.complain(input.value ? '' : 'Give the team a name.');
      return Boolean(input.value);
    },
    submit: () => submit(input.value),
  });
}

export function inviteToTeam(api, team, done) {
  const email = field('invite-email', 'E-mail (optional)', h('input', {type: 'email', ...AS_TYPED, inputmode: 'email', maxlength: '254', autofocus: true}),
                      'With an address, only this address can use the invitation.');
  const role = field('invite-role', 'Role', select(ROLES.slice(0, 3), 'operator'));

  dialog({
    title: 'Invite somebody to the team', fields: [email.el, role.el], button: 'Invite',
    check: () => {
      email.complain(email.input.validity.typeMismatch ? 'Enter a valid e-mail address.' : '');
      return !email.input.validity.typeMismatch;
    },
    submit: async () => {
      const made = await withPassword(api, () => api.teams.invite(team.id, role.value, email.value));

      done();
      dialog({
        title: 'The link of the invitation', button: 'Done',
        fields: [copyBox('Link', h('code', {}, `${location.origin}/join#invitation=${made.token}`))],
        text: `With it, ${email.value || 'anyone'} can join the team, once. It is shown only now.`
          + (made.mailed ? ' A mail with a link is on its way, too.' : ''),
      });
    },
  });
}

export function changeRole(api, team, member, done) {
  const role = field('member-role', 'Role', select(team.role === 'owner' ? ROLES : ROLES.slice(0, 3), member.role));

  dialog({
    title: `The role of ${member.email}`, fields: [role.el], button: 'Save',
    submit: async () => {
      await withPassword(api, () => api.teams.setRole(team.id, member.id, role.value));
      done();
    },
  });
}

export function removeMember(api, team, member, done) {
  dialog({
    title: `Remove ${member.email}?`, text: 'The servers stay with the team. What this person sees of it ends at once.', button: 'Remove', danger: true,
    submit: async () => {
      await api.teams.removeMember(team.id, member.id);
      done();
    },
  });
}

export function leaveTeam(api, team, done) {
  dialog({
    title: `Leave ${team.name}?`, text: 'You no longer see its servers. To come back, you need an invitation.', button: 'Leave the team', danger: true,
    submit: async () => {
      await api.teams.leave(team.id);
      done();
    },
  });
}

export function deleteTeam(api, team, done) {
  dialog({
    title: `Delete ${team.name}?`, text: 'Its channels, silences and invitations are deleted. It must have no servers any more.', button: 'Delete the team', danger: true,
    submit: async () => {
      await api.teams.remove(team.id);
      done();
    },
  });
}

// To another team in which the user is an administrator.
export async function moveServer(api, {id, name, team}) {
  const teams = (await api.teams.list()).filter((t) => hasRole(t, 'admin') && t.id !== team?.id);
  const to = field('move-team', 'Team', select(teams.map((t) => [t.id, teamName(t)]), ''));

  dialog(teams.length ? {
    title: `Move ${name} to another team`, text: 'Its members see the server instead. Silences of the server end; acknowledgements stay.', fields: [to.el],
    button: 'Move the server', submit: () => api.teams.moveServer(id, to.value),
  } : {title: `Move ${name} to another team`, text: 'You are an administrator of no other team. Make one on the page “Teams”.', button: 'Close'});
}

export function teamName(team) {
  return team.personal ? 'Personal' : team.name;
}
