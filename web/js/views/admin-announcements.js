/* SPDX-License-Identifier: LGPL-2.1-or-later */
// What administrators tell all users.

import {foreign, h} from '../base/dom.js';
import {time} from '../base/time.js';
import {adminPage} from '../parts/admin.js';
import {AS_TYPED, act, field, form, select} from '../parts/forms.js';
import {plainTable, section} from '../parts/section.js';
import {withPassword} from '../dialogs/password.js';

const HOUR = 3600;
const LENGTHS = [['1', '1 hour'], ['4', '4 hours'], ['24', '1 day'], ['168', '1 week'], ['720', '30 days']];

export function adminAnnouncementsView({api, showAnnouncements}) {
  const changed = () => {
    list.load();
    showAnnouncements();
  };
  const list = section('announced', 'Announced now', {
    read: () => api.announcements(),
    show: (all) => (all.length ? plainTable('Announcements', ['Text', 'Since', 'Ends', ''], all.map((a) => [
      foreign('bdi', {}, a.text), time(a.created_at), time(a.ends_at, '', 'due'),
      act('Withdraw', async () => {
        await withPassword(api, () => api.admin.withdrawAnnouncement(a.id));
        changed();
      }, `Withdraw “${a.text}”`),
    ])) : h('p', {class: 'muted'}, 'Nothing is announced.')),
  });
  const text = field('announcement', 'Text', h('input', {...AS_TYPED, maxlength: '500'}), 'One line. All users see it at the top of every page.');
  const length = field('announcement-length', 'Show it for', select(LENGTHS, '24'));

  return {
    title: () => 'Announcements',
    el: adminPage('/admin/announcements', 'Announcements', list.el,
                  h('section', {class: 'part narrow', 'aria-labelledby': 'announce'}, h('h2', {id: 'announce'}, 'Tell all users something'), form({
                    fields: [text.el, length.el], button: 'Announce',
                    check: () => {
                      text.complain(text.value ? '' : 'Enter what users are to know.');
                      return Boolean(text.value);
                    },
                    submit: async () => {
                      await withPassword(api, () => api.admin.announce(text.value, Number(length.input.value) * HOUR));
                      text.input.value = '';
                      changed();
                    },
                  }))),
  };
}
