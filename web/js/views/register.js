/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Register a server: ask for its name and labels, show the command to run on it, wait until it connects.

import {copyText, foreign, h, setAttribute, setHidden, setText} from '../base/dom.js';
import {serverPath} from '../base/router.js';
import {linkMark} from '../base/status.js';
import {now, timeElement} from '../base/time.js';
import {isLocal} from '../parts/command.js';
import {AS_TYPED, field, select, splitLabels} from '../parts/forms.js';
import {hasRole, teamName} from '../dialogs/team.js';

export function registerView(app) {
  const name = h('input', {id: 'server-name', name: 'server-name', required: true, autofocus: true, maxlength: '255', ...AS_TYPED,
                           'aria-describedby': 'server-name-error'});
  const nameError = h('p', {id: 'server-name-error', class: 'field-error', hidden: true});
  const labels = h('input', {id: 'labels', name: 'labels', ...AS_TYPED, 'aria-describedby': 'labels-hint'});
  const team = field('server-team', 'Team', select([], ''));
  const alert = h('p', {class: 'notice bad', role: 'alert', hidden: true});
  const go = h('button', {type: 'submit', class: 'primary'}, 'Create token');
  const form = h('form', {novalidate: true}, alert,
                 h('div', {class: 'field'}, h('label', {for: 'server-name'}, 'Name'), name, nameError),
                 h('div', {class: 'field'}, h('label', {for: 'labels'}, 'Labels ', h('span', {class: 'muted'}, '(optional)')), labels,
                   h('p', {id: 'labels-hint', class: 'hint'}, 'Separated by spaces or commas, such as “prod debian”.')),
                 team.el, go);
  const el = h('section', {class: 'page narrow'},
               h('nav', {class: 'crumbs', 'aria-label': 'Breadcrumb'}, h('a', {href: '/'}, 'Servers')),
               h('div', {class: 'page-head'}, h('h1', {tabindex: '-1'}, 'Register a server')),
               h('p', {class: 'description'}, 'You get a command to run on the server. It connects the agent to your account, or to a team.'),
               form);
  let result = null;

  // Only who has a choice is asked.
  setHidden(team.el, true);
  app.api.teams.list().then((list) => {
    const mine = list.filter((t) => hasRole(t, 'admin'));

    team.input.append(...select(mine.map((t) => [t.id, teamName(t)]), '').children);
    setHidden(team.el, mine.length < 2);
  }, () => {}); // then it is the personal one

  const complain = (text) => {
    setText(nameError, text);
    setHidden(nameError, !text);
    setAttribute(name, 'aria-invalid', text ? 'true' : null);
  };
  name.addEventListener('input', () => complain(''));

  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    setHidden(alert, true);
    complain(name.value.trim() ? '' : 'Give the server a name.');
    if (!name.value.trim()) return name.focus();

    go.disabled = true;
    try {
      const answer = await app.api.servers.register(name.value.trim(), splitLabels(labels.value), team.value);
      result = registered(app, name.value.trim(), answer);
      el.replaceChildren(el.firstChild, ...result.nodes);
      el.querySelector('h1').focus({preventScroll: true});
      result.update();
    } catch (error) {
      setHidden(alert, false);
      setText(alert, error.message);
    } finally {
      go.disabled = false;
    }
  });

  return {el, title: () => 'Register a server', update: () => result?.update(), destroy: () => result?.stop()};
}

function registered({api, store}, name, answer) {
  const code = h('code', {id: 'command'}, `ssictl register ${location.origin} - <<<${answer.claim_token}`);
  const qr = h('img', {class: 'qr', alt: 'The command as a QR code', hidden: true, width: 200, height: 200});
  const copy = h('button', {type: 'button', class: 'copy'}, 'Copy');
  const copied = h('span', {class: 'hidden', 'aria-live': 'polite'});
  const until = timeElement('due');
  const expiry = h('p', {class: 'hint'}, 'The token works once and expires ', until.el, '. It is not shown again.');
  const conn = linkMark();
  const waiting = h('span', {class: 'muted'}, 'This page updates when it connects.');
  const done = h('p');
  const wait = h('div', {class: 'wait', role: 'status'}, h('p', {class: 'facts'}, conn.el, waiting), done);
  const expires = Date.parse(answer.expires_at);
  const timer = setInterval(update, 1000);

  until.set(answer.expires_at);
  api.qr(code.textContent).then((src) => {
    qr.src = src;
    setHidden(qr, false);
  }, () => {}); // the command is shown anyway
  copy.addEventListener('click', async () => {
    const ok = await copyText(code.textContent, code);
    setText(copy, ok ? 'Copied' : 'Selected');
    setText(copied, ok ? 'Copied to the clipboard.' : 'Selected. Copy it with the keyboard.');
    setTimeout(() => {
      setText(copy, 'Copy');
      setText(copied, '');
    }, 2000);
  });

  function update() {
    const server = store.servers.get(answer.server_id);
    const connected = server && server.state !== 'pending';

    conn.set(server?.state ?? 'pending');
    if (connected && !done.firstChild) {
      done.append(h('a', {class: 'button primary', href: serverPath(answer.server_id)}, 'Open ', foreign('bdi', {}, name)));
      setText(waiting, 'The agent has connected.');
    }
    if (connected) {
      clearInterval(timer);
      setHidden(expiry, true);
    } else if (now() > expires) {
      clearInterval(timer);
      expiry.replaceChildren('The token has expired. ', h('a', {href: '/servers/new'}, 'Register the server again'), '.');
      expiry.className = 'notice';
    }
  }

  return {
    nodes: [
      h('div', {class: 'page-head'}, h('h1', {tabindex: '-1'}, 'Connect ', foreign('bdi', {}, name))),
      h('p', {class: 'description'}, 'Run this on the server, as root:'),
      h('div', {class: 'command'}, h('pre', {tabindex: '0', role: 'region', 'aria-label': 'Command'}, code), copy, copied),
      qr,
      isLocal() ? h('p', {class: 'notice'}, 'This page is open at an address that works only on this machine. On another server, use an ' +
                    'address that reaches this one.') : null,
      expiry,
      location.protocol === 'https:' ? h('p', {class: 'hint'}, 'If this address has a certificate from a private CA, add ',
                                         h('code', {}, '--ca=FILE'), ', the file with the CA’s certificate.') : null,
      wait,
    ].filter(Boolean),
    update,
    stop: () => clearInterval(timer),
  };
}
