/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Silencing and acknowledging.

import {h} from '../base/dom.js';
import {now} from '../base/time.js';
import {dialog} from '../parts/dialog.js';
import {field, select} from '../parts/forms.js';

const HOURS = [['1', '1 hour'], ['4', '4 hours'], ['24', '1 day'], ['168', '1 week'], ['', 'Until you end it']];

// target: {server_id?, service?, label?}; what: its name in the title.
export function askSilence(api, what, target, done) {
  const reason = field('silence-reason', 'Reason', h('input', {autocomplete: 'off', maxlength: '200', autofocus: true}));
  const hours = field('silence-end', 'Duration', select(HOURS, '1'));

  dialog({
    title: `Silence ${what}?`, text: 'No notifications until then; problems that persist are reported at the end.',
    fields: [reason.el, hours.el], button: 'Silence',
    check: () => {
      reason.complain(reason.value ? '' : 'Give a reason, for others who see it later.');
      return Boolean(reason.value);
    },
    submit: async () => {
      const end = hours.input.value && new Date(now() + Number(hours.input.value) * 3600000).toISOString();
      await api.silences.create({...target, reason: reason.value, ends_at: end || null});
      done?.();
    },
  });
}

export function askAcknowledge(api, {id, name, title}) {
  const reason = field('ack-reason', 'What is being done', h('input', {autocomplete: 'off', maxlength: '200', autofocus: true}));

  dialog({
    title: `Acknowledge ${title}?`, text: 'No more reminders until it worsens or recovers.', fields: [reason.el], button: 'Acknowledge',
    check: () => {
      reason.complain(reason.value ? '' : 'Enter what is being done.');
      return Boolean(reason.value);
    },
    submit: () => api.services.acknowledge(id, name, reason.value),
  });
}
