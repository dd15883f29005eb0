/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The user's teams.

import {foreign, h} from '../base/dom.js';
import {plainTable, section} from '../parts/section.js';
import {askTeamName, teamName} from '../dialogs/team.js';

export function teamsView({api, router}) {
  const list = section('teams-list', 'Your teams', {
    about: 'Servers, channels and silences belong to a team, and its members share them.',
    read: () => api.teams.list(),
    show: (teams) => [
      plainTable('Teams', ['Team', 'Your role', 'Members', 'Servers'], teams.map((t) => [
        foreign('a', {href: `/teams/${encodeURIComponent(t.id)}`}, teamName(t)), t.role, String(t.members), String(t.servers),
      ])),
      h('p', {class: 'actions'}, h('button', {type: 'button', on: {click: () => askTeamName({
        title: 'Make a team', button: 'Make the team',
        submit: async (name) => router.go(`/teams/${encodeURIComponent((await api.teams.create(name)).id)}`),
      })}}, 'Make a team')),
    ],
  });

  return {
    title: () => 'Teams',
    heard: (event) => event === 'ready' && list.load(),
    el: h('section', {class: 'page narrow'}, h('h1', {tabindex: '-1'}, 'Teams'), list.el),
  };
}
