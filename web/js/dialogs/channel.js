/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Adding or changing a notification channel.

import {h} from '../base/dom.js';
import {dialog} from '../parts/dialog.js';
import {AS_TYPED, field, select, splitLabels} from '../parts/forms.js';

export const SEVERITIES = [['UPDATE', 'Updates, warnings and failures'], ['WARNING', 'Warnings and failures'], ['FAILURE', 'Failures only']];

// Stands for a secret in the server's answers.
const MASK = '••••';

// The settings of each type: [key, label, hint, optional].
export const TYPES = {
  email: ['E-mail', [['address', 'Address', 'Its owner is asked to confirm it.']]],
  ntfy: ['ntfy', [['topic', 'Topic'], ['url', 'Server', 'Leave empty for https://ntfy.sh.', true], ['token', 'Access token', '', true]]],
  slack: ['Slack', [['url', 'URL of the incoming webhook']]],
  matrix: ['Matrix', [['url', 'Homeserver', 'https://…'], ['room', 'Room', '!room:example.org'], ['token', 'Access token']]],
  telegram: ['Telegram', [['token', 'Bot token'], ['chat_id', 'Chat ID']]],
  webhook: ['Webhook', [['url', 'URL'], ['template', 'Body', 'JSON with {{placeholders}}. Leave empty to send the whole change.', true]]],
};

// c: the channel to change, or null.
export function editChannel(api, c, done) {
  const type = field('channel-type', 'Type', select(Object.entries(TYPES).map(([key, [text]]) => [key, text]), c?.type));
  const name = field('channel-name', 'Name', h('input', {autocomplete: 'off', maxlength: '64', value: c?.name ?? ''}));
  const severity = field('channel-severity', 'Notify about', select(SEVERITIES, c?.min_severity ?? 'WARNING'));
  const labels = field('channel-labels', 'Only servers with one of these labels', h('input', {...AS_TYPED, value: c?.labels.join(' ') ?? ''}), 'Leave empty for all servers.');
  const damping = field('channel-damping', 'Consecutive results before a change is reported', h('input', {type: 'number', min: '1', max: '20', value: c?.damping ?? ''}),
                        'Leave empty to use the account’s setting.');
  const on = h('input', {type: 'checkbox', id: 'channel-on', checked: c?.enabled ?? true});
  const config = h('div');
  const stored = c?.config ?? {};
  const isSecret = (key) => key !== 'url' && String(stored[key] ?? '').includes(MASK);
  const text = (p) => p.input.value.trim();
  let parts = [];
  // The server sends stored secrets to no other address than the one that they were entered for.
  const moved = () => Boolean(c && parts.some((p) => p.key === 'url' && text(p) !== (stored.url ?? '')));
  const follow = () => {
    for (const p of parts.filter(({key}) => isSecret(key))) {
      if (moved() && text(p) === stored[p.key]) p.input.value = '';
      else if (!moved() && !text(p)) p.input.value = stored[p.key];
    }
  };
  const warning = (key) => {
    const secrets = parts.filter((p) => isSecret(p.key)).map((p) => p.label.toLowerCase());

    if (key !== 'url') return '';
    if (secrets.length) return `If you change this, enter the ${secrets.join(' and the ')} again.`;
    return stored.headers ? 'If you change this, the channel’s header fields are removed.' : '';
  };
  const show = () => {
    parts = (TYPES[c ? c.type : type.value]?.[1] ?? []).map(([key, label, hint, optional]) => ({key, label, hint, optional}));
    for (const p of parts) {
      const input = p.key === 'template' ? h('textarea', {rows: '4', ...AS_TYPED}) : h('input', {...AS_TYPED});

      input.value = stored[p.key] ?? '';
      Object.assign(p, field(`config-${p.key}`, p.label, input, [p.hint, warning(p.key)].filter(Boolean).join(' ')));
      if (p.key === 'url') input.addEventListener('input', follow);
    }
    config.replaceChildren(...parts.map((p) => p.el));
  };
  const complaint = (p) => {
    if (text(p) || p.optional) return '';
    return isSecret(p.key) && moved() ? 'Enter this again: what is stored was for the old address.' : 'This field is required.';
  };

  type.input.addEventListener('change', show);
  show();
  dialog({
    title: c ? `Change ${c.name}` : 'Add a channel', button: c ? 'Save' : 'Add',
    fields: [c ? null : type.el, name.el, config, severity.el, labels.el, damping.el, h('p', {class: 'check'}, on, h('label', {for: 'channel-on'}, 'Enabled'))],
    check: () => {
      name.complain(name.value ? '' : 'Enter a name.');
      for (const p of parts) p.complain(complaint(p));
      return name.value && parts.every((p) => !complaint(p));
    },
    submit: async () => {
      const body = {
        name: name.value, min_severity: severity.input.value, enabled: on.checked, damping: damping.value ? Number(damping.value) : null,
        labels: splitLabels(labels.value),
        config: Object.fromEntries(parts.map((p) => [p.key, text(p) || null]).filter(([, value]) => value !== null || c)),
      };
      if (moved() && stored.headers) body.config.headers = null;
      if (c) await api.channels.change(c.id, c.type === 'push' ? {...body, config: undefined} : body);
      else await api.channels.create({...body, type: type.input.value});
      done();
    },
  });
}
