/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Notifications: of this browser, the channels, quiet hours, and the most recent ones.

import {foreign, h, setHidden} from '../base/dom.js';
import {LINK_WORDS, WORDS, plural} from '../base/status.js';
import {time} from '../base/time.js';
import {canPush, subscribe, subscription, unsubscribe} from '../data/push.js';
import {AS_TYPED, act, field, form} from '../parts/forms.js';
import {plainTable, section} from '../parts/section.js';
import {SEVERITIES, TYPES, editChannel} from '../dialogs/channel.js';

// The words for a change that is not one of status or connection.
const VALUES = {error: {error: 'Execution error', none: 'Running again'}, stale: {stale: 'Overdue', fresh: 'Reporting again'},
                hosts: {duplicate: 'Two hosts', returned: 'Back again'}};

const RECENT_MAX = 30;

export function notificationsView({api, store}) {
  const browser = section('this-browser', 'This browser', {
    read: async () => ({features: await api.features(), own: canPush() ? await subscription() : null,
                        all: await api.push.list()}),
    show: ({features, own, all}) => {
      const others = all.map((s) => [foreign('bdi', {}, s.label ?? s.host), h('span', {class: 'muted'}, s.host), stateOf(s), act('Remove', async () => {
        await api.push.remove(s.id);
        browser.load();
      }, `Remove ${s.label ?? s.host}`)]);
      const words = !features.push ? 'This server does not send push messages.' : !canPush() ? 'This browser does not accept push messages from this address.'
        : own ? 'Notifications are shown, even while this page is closed.' : 'Notifications can be shown, even while this page is closed.';
      const button = features.push && canPush() && (own ? act('Stop', async () => {
        await unsubscribe();
        browser.load();
      }) : act('Show notifications', async () => {
        await subscribe(api);
        browser.load();
        channels.load();
      }));
      return [h('p', {}, words), h('p', {class: 'actions'}, button || null),
              all.length ? plainTable('Subscribed browsers', ['Browser', 'Push service', 'State', ''], others) : null].filter(Boolean);
    },
  });
  const channels = section('channels', 'Channels', {
    about: 'Messages are delivered in order and retried until accepted.',
    read: () => api.channels.list(),
    show: (list) => [
      list.length ? plainTable('Channels', ['Channel', 'Notifies about', 'State', ''], list.map((c) => channelRow(c))) : h('p', {class: 'muted'}, 'No channels.'),
      h('p', {class: 'actions'}, h('button', {type: 'button', on: {click: () => edit(null)}}, 'Add a channel')),
    ],
  });

  const edit = (c) => editChannel(api, c, () => channels.load());

  function channelRow(c) {
    const result = h('p', {class: 'hint', role: 'status'});
    return [
      [foreign('bdi', {}, c.name), h('span', {class: 'tag'}, TYPES[c.type]?.[0] ?? 'Push'), c.enabled ? null : h('span', {class: 'tag'}, 'Disabled')],
      SEVERITIES.find(([key]) => key === c.min_severity)?.[1] ?? c.min_severity,
      [c.verified === false ? 'Waiting for the address to be confirmed' : stateOf(c), c.queued ? h('p', {class: 'hint'}, plural(c.queued, 'message queued', 'messages queued')) : null,
       c.last_error && c.failing_since ? foreign('p', {class: 'field-error'}, c.last_error) : null, result],
      h('span', {class: 'actions'}, act('Test', async () => {
        result.textContent = '';
        const {delivered, targets, error} = await api.channels.test(c.id);
        result.textContent = delivered ? `Delivered${targets > 1 ? ` to ${targets} browsers` : ''}.` : `Not delivered: ${error}`;
      }, `Test ${c.name}`),
      h('button', {type: 'button', class: 'small', 'aria-label': `Change ${c.name}`, on: {click: () => edit(c)}}, 'Change'),
      act('Delete', async () => {
        await api.channels.remove(c.id);
        channels.load();
      }, `Delete ${c.name}`)),
    ];
  }

  const quiet = section('quiet', 'Quiet hours and damping', {
    about: 'Nothing is sent during quiet hours; problems that persist are sent as one message afterwards.',
    read: () => api.notifications.settings(),
    show: (s) => {
      const from = field('quiet-from', 'Quiet from', h('input', {type: 'time', value: s.quiet_from ?? ''}));
      const to = field('quiet-to', 'Quiet until', h('input', {type: 'time', value: s.quiet_to ?? ''}));
      const zone = field('quiet-zone', 'Time zone', h('input', {...AS_TYPED, value: s.quiet_from ? s.timezone : Intl.DateTimeFormat().resolvedOptions().timeZone}));
      const damping = field('damping', 'Consecutive results before a change is reported', h('input', {type: 'number', min: '1', max: '20', value: s.damping}),
                            '1 reports each change immediately; a higher number ignores brief changes.');
      const saved = h('p', {class: 'hint', role: 'status', hidden: true}, 'Saved.');
      return [form({
        fields: [h('div', {class: 'side'}, from.el, to.el, zone.el), damping.el], button: 'Save', others: [saved],
        check: () => {
          setHidden(saved, true);
          to.complain(Boolean(from.value) === Boolean(to.value) ? '' : 'Set both or neither.');
          return Boolean(from.value) === Boolean(to.value);
        },
        submit: async () => {
          await api.notifications.change({quiet_from: from.value || null, quiet_to: to.value || null, timezone: zone.value,
                                          damping: Number(damping.value)});
          setHidden(saved, false);
        },
      })];
    },
  });
  const recent = section('recent', 'Recent', {
    read: () => api.notifications.list(RECENT_MAX),
    show: (list) => (list.length ? plainTable('Notifications', ['When', 'What', 'Channel', 'State'], list.map((n) => [
      time(n.created_at), foreign('bdi', {}, wordsOf(n.message, store)), foreign('bdi', {}, n.channel ?? '–'),
      [{sent: 'Sent', queued: 'Queued', failed: 'Given up', merged: 'Included in a later message'}[n.state] ?? n.state,
       n.error && n.state !== 'sent' ? foreign('p', {class: 'field-error'}, n.error) : null],
    ])) : h('p', {class: 'muted'}, 'Nothing sent yet.')),
  });

  return {
    title: () => 'Notifications',
    el: h('section', {class: 'page narrow'}, h('h1', {tabindex: '-1'}, 'Notifications'),
          h('p', {class: 'muted'}, h('a', {href: '/silences'}, 'Silences'), ' suppress notifications for a while.'),
          browser.el, channels.el, quiet.el, recent.el),
  };
}

function stateOf({failing_since: failing, last_success_at: success}) {
  if (failing) return h('span', {class: 'field-error'}, 'Failing ', time(failing, '', 'since'));
  return success ? h('span', {}, 'Last delivered ', time(success)) : h('span', {class: 'muted'}, 'Nothing delivered yet');
}

function wordsOf(m, store) {
  if (!m) return '–';
  if (m.kind === 'digest') return plural(m.items?.length ?? 0, 'change');
  const where = store.servers.get(m.server_id)?.name ?? m.server ?? '';
  const now = VALUES[m.kind]?.[m.new] ?? WORDS[m.new] ?? LINK_WORDS[m.new] ?? m.new ?? m.kind;
  return m.service ? `${m.title ?? m.service} on ${where}: ${now}` : `${where}: ${now}`;
}
