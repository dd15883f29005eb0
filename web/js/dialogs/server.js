/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The dialogs of a server's page.

import {h} from '../base/dom.js';
import {publicPath} from '../base/router.js';
import {dialog} from '../parts/dialog.js';
import {field, splitLabels} from '../parts/forms.js';

export function editServer(api, {id, name: oldName, labels: oldLabels}) {
  const name = field('edit-name', 'Name', h('input', {value: oldName, maxlength: '128', autocomplete: 'off', autofocus: true}));
  const labels = field('edit-labels', 'Labels', h('input', {value: oldLabels.join(' '), autocomplete: 'off', autocapitalize: 'none'}),
                       'Separated by spaces or commas.');

  dialog({
    title: 'Name and labels', fields: [name.el, labels.el], button: 'Save',
    check: () => {
      name.complain(name.value ? '' : 'Give the server a name.');
      return Boolean(name.value);
    },
    submit: () => api.servers.change(id, {name: name.value, labels: splitLabels(labels.value)}),
  });
}

export function replaceToken(api, {id, name}) {
  dialog({
    title: `Create a new token for ${name}?`, text: 'The agent is rejected until you register it again.', button: 'Create token',
    submit: async () => showToken(await api.servers.createToken(id)),
  });
}

// Of two hosts with the identity of one server. keep: 'accepted' or 'refused', which is what the two are now.
export function keepHost(api, {id, duplicate}, keep) {
  const other = keep === 'accepted' ? 'refused' : 'accepted';

  dialog({
    title: `Keep the host that is ${WHICH[keep]}?`,
    text: `${hostName(duplicate[keep])} reports as this server. ${hostName(duplicate[other])} is refused until you register it anew, as a ` +
          'server of its own: run “ssictl register” on it. What only the refused host has is removed here.',
    button: 'Keep it',
    submit: () => api.servers.keepHost(id, keep),
  });
}

const WHICH = {accepted: 'connected', refused: 'refused'};

function hostName(name) {
  return name ? `“${name}”` : 'A host without a name';
}

function showToken({claim_token: token}) {
  dialog({title: 'Run this on the server, as root', text: 'The token works once, within an hour.', button: 'Done',
          fields: [h('pre', {class: 'command', tabindex: '0'}, h('code', {}, `ssictl unregister; ssictl register ${location.origin} - <<<${token}`))]});
}

export function removeServer(api, {id, name}, done) {
  dialog({
    title: `Remove ${name}?`, text: 'Its services and their history are deleted. Run “ssictl unregister” on the server to stop its agent from reconnecting.',
    button: 'Remove the server', danger: true,
    submit: async () => {
      await api.servers.remove(id);
      done();
    },
  });
}

export async function editPublicPage(api, id) {
  const fields = h('div', {}, h('p', {class: 'muted'}, 'Anyone who has the address sees the names and statuses of the services, but not their messages. It works once you open the page.'));
  const page = await api.servers.publicPage(id).catch(() => null);

  if (page) fields.append(...addresses(page));
  dialog({
    title: 'Public page', fields: [fields], danger: Boolean(page), button: page ? 'Close the page' : 'Open a page',
    submit: async () => {
      if (page) return api.servers.closePage(id);
      const made = await api.servers.openPage(id);
      dialog({title: 'Public page', fields: [h('div', {}, addresses(made))], button: 'Done'});
    },
  });
}

function addresses({page, badge}) {
  const address = location.origin + publicPath(page.split('/').pop());

  return [h('p', {}, h('a', {href: address, target: '_blank'}, address)), h('p', {}, h('img', {src: badge, alt: 'Status badge'})),
          h('pre', {class: 'command', tabindex: '0'}, h('code', {}, `![status](${location.origin}${badge})`))];
}
