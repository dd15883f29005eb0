/* SPDX-License-Identifier: LGPL-2.1-or-later */
// One team: its members, its invitations, and how to leave it. And the page that an invitation's link opens.

import {foreign, h, setText} from '../base/dom.js';
import {time} from '../base/time.js';
import {notFound} from '../parts/notice.js';
import {act, form} from '../parts/forms.js';
import {plainTable, section} from '../parts/section.js';
import {askTeamName, changeRole, deleteTeam, hasRole, inviteToTeam, leaveTeam, removeMember, teamName} from '../dialogs/team.js';

export function teamView({api, session, router}, {id}) {
  const name = foreign('h1', {tabindex: '-1'}, 'Team');
  const actions = h('div', {class: 'actions end'});
  const invitations = h('div');
  let team = null;
  const members = section('members', 'Members', {
    read: async () => {
      try {
        team = await api.teams.get(id);
        return await api.teams.members(id);
      } catch (e) {
        if (e.status === 404) el.replaceChildren(...notFound('Team not found', 'You are not a member of it.').childNodes);
        throw e;
      }
    },
    show: (list) => {
      show();
      return membersTable(list);
    },
  });
  const el = h('section', {class: 'page narrow'},
               h('nav', {class: 'crumbs', 'aria-label': 'Breadcrumb'}, h('a', {href: '/teams'}, 'Teams')),
               h('div', {class: 'page-head'}, name, actions), members.el, invitations);

  function membersTable(list) {
    const manages = hasRole(team, 'admin') && !team.personal;
    const mayChange = (m) => manages && (team.role === 'owner' || m.role !== 'owner');

    return [
      plainTable('Members', ['Member', 'Role', 'Since', ''], list.map((m) => [
        [foreign('bdi', {}, m.email), m.email === session.email ? h('span', {class: 'tag'}, 'You') : null], m.role, time(m.joined_at),
        mayChange(m) ? [
          h('button', {type: 'button', class: 'small', 'aria-label': `Change the role of ${m.email}`,
                       on: {click: () => changeRole(api, team, m, () => members.load())}}, 'Role'), ' ',
          m.email === session.email ? '' : h('button', {type: 'button', class: 'small', 'aria-label': `Remove ${m.email}`,
                                                        on: {click: () => removeMember(api, team, m, () => members.load())}}, 'Remove'),
        ] : '',
      ])),
      team.personal ? h('p', {class: 'muted'}, 'This is your personal team. To share servers, make a team, invite people to it, and move servers there.') : null,
    ];
  }

  function show() {
    const gone = () => router.go('/teams', {replace: true});
    const button = (text, f, attributes = {}) => h('button', {type: 'button', ...attributes, on: {click: f}}, text);

    setText(name, teamName(team));
    actions.replaceChildren(...team.personal ? [] : [
      hasRole(team, 'admin') ? button('Rename', () => askTeamName({
        title: 'Rename the team', button: 'Save', name: team.name,
        submit: async (text) => {
          await api.teams.rename(id, text);
          members.load();
        },
      })) : null,
      button('Leave', () => leaveTeam(api, team, gone)),
      hasRole(team, 'owner') ? button('Delete', () => deleteTeam(api, team, gone), {class: 'danger'}) : null,
    ].filter(Boolean));
    if (team.personal || !hasRole(team, 'admin')) invitations.replaceChildren();
    else if (!invitations.firstChild) invitations.append(invitationsSection(api, team).el);
  }

  return {
    el,
    title: () => (team ? teamName(team) : 'Team'),
    heard: (event) => event === 'ready' && members.load(),
  };
}

function invitationsSection(api, team) {
  const self = section('invitations', 'Invitations', {
    read: () => api.teams.invitations(team.id),
    show: (list) => [
      list.length ? plainTable('Invitations', ['For', 'Role', 'Expires', ''], list.map((i) => [
        i.email ? foreign('bdi', {}, i.email) : 'Anyone with the link', i.role, time(i.expires_at, '', 'due'),
        act('Withdraw', async () => {
          await api.teams.withdraw(team.id, i.id);
          self.load();
        }, `Withdraw the invitation for ${i.email ?? 'anyone'}`),
      ])) : h('p', {class: 'muted'}, 'No invitations that can still be used.'),
      h('p', {class: 'actions'}, h('button', {type: 'button', on: {click: () => inviteToTeam(api, team, () => self.load())}}, 'Invite somebody')),
    ],
  });
  return self;
}

const KEY = 'ssi.invitation';

// The token is kept while its owner logs in.
function invitationOf() {
  const token = new URLSearchParams(location.hash.slice(1)).get('invitation');

  try {
    if (token) sessionStorage.setItem(KEY, token);
    return token ?? sessionStorage.getItem(KEY);
  } catch {
    return token; // storage is blocked: then the link has to be opened again after the login
  }
}

function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // It was not kept.
  }
}

export function joinView({api, session, router}) {
  const invitation = invitationOf();
  const join = () => form({
    fields: [], button: 'Join the team',
    submit: async () => {
      const {id} = await api.teams.join(invitation);

      forget();
      router.go(`/teams/${encodeURIComponent(id)}`, {replace: true});
    },
  });
  const guest = () => [
    h('p', {class: 'actions'}, h('a', {class: 'button primary', href: '/login?next=%2Fjoin'}, 'Log in'), ' ',
      h('button', {type: 'button', on: {click: () => location.assign(`/signup#invitation=${encodeURIComponent(invitation)}`)}}, 'Sign up')),
    h('p', {class: 'muted'}, 'With an account, log in to join. Without one, sign up: the new account is a member at once.'),
  ];

  return {
    title: () => 'Join a team',
    el: h('section', {class: 'page auth-page'}, h('h1', {tabindex: '-1'}, 'Join a team'),
          invitation ? h('p', {class: 'description'}, 'You are invited to a team. Its members see your address.')
            : h('p', {role: 'status'}, 'The link of an invitation is needed: open it again.'),
          invitation ? (session.signedIn ? join() : guest()) : null),
  };
}
