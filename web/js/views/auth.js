/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Log in and sign up.

import {h, setHidden} from '../base/dom.js';
import {guest} from '../data/api.js';
import {AS_TYPED, PASSWORD_MIN, field, passwordComplaint, passwordField} from '../parts/forms.js';

const PASSWORD_MAX = 1024;

export function logInView({session}) {
  return form({
    title: 'Log in',
    button: 'Log in',
    password: 'current-password',
    other: ['No account yet?', '/signup', 'Sign up'],
    forgotten: true,
    submit: (email, password) => session.logIn(email, password),
  });
}

// Why there is no form, by the feature "sign_up".
const NO_FORM = {
  'closed': () => 'Sign-up is closed. Ask an administrator of this server for an account or an invitation.',
  'invite': () => 'You need an invitation: ask somebody who has an account here, and open the link that you get.',
  'not-set-up': () => ['This server is not set up yet. To create the first account, run ', h('code', {}, 'sudo ssictl server setup'), ' on its host.'],
};

export function signUpView({session, router}) {
  const invitation = new URLSearchParams(location.hash.slice(1)).get('invitation'); // after #, as in all links with tokens
  const opened = () => router.reload();
  const code = field('setup-code', 'Setup code', h('input', {type: 'password', name: 'setup-code', ...AS_TYPED, maxlength: '256'}),
                     'SSI_SETUP_CODE of the server’s configuration. It is needed for the first account only.');
  let needsCode = false;
  const view = form({
    title: 'Sign up',
    about: invitation ? 'You are invited to create an account.' : '',
    more: code,
    button: 'Create account',
    password: 'new-password',
    hint: `At least ${PASSWORD_MIN} characters. A few words work well.`,
    other: ['Already have an account?', '/login', 'Log in'],
    check: () => code.complain(needsCode && !code.value ? 'Enter the setup code.' : ''),
    submit: async (email, password) => (await session.signUp(email, password, invitation ? {invitation} : needsCode ? {setup_code: code.value} : {}))
      ? '' : `A mail is on its way to ${email}. Open the link in it to finish.`,
  });

  // Shown once it is known whether it is of use; an error shows it, too.
  function show() {
    setHidden(code.el, !needsCode);
    setHidden(view.form, false);
    if (view.el.isConnected) view.form.elements.email.focus();
  }

  addEventListener('hashchange', opened);
  view.destroy = () => removeEventListener('hashchange', opened);
  setHidden(view.form, true);
  guest.features().then(({sign_up: signUp}) => {
    needsCode = signUp === 'setup-code' && !invitation;
    if (!invitation && NO_FORM[signUp]) view.form.replaceWith(h('p', {class: 'notice', role: 'status'}, NO_FORM[signUp]()));
    else show();
  }, show);
  return view;
}

// more: another field. check() complains there.
function form({title, about, button, password, hint, other, forgotten, more, check, submit}) {
  const email = field('email', 'E-mail', h('input', {
    type: 'email', name: 'email', autocomplete: 'username', inputmode: 'email', spellcheck: 'false',
    autocapitalize: 'none', required: true, autofocus: true, maxlength: '254',
  }));
  const secret = passwordField('password', 'Password', {name: 'password', autocomplete: password, required: true}, hint);
  const alert = h('p', {class: 'notice bad', role: 'alert', hidden: true});
  const go = h('button', {type: 'submit', class: 'primary wide'}, button);
  const el = h('form', {class: 'auth', novalidate: true}, about ? h('p', {class: 'description'}, about) : '', alert,
               email.el, secret.el, more?.el ?? '', go);

  el.addEventListener('submit', async (e) => {
    e.preventDefault();
    setHidden(alert, true);
    email.complain(checkEmail(email.input));
    secret.complain(checkPassword(secret.input.value, password === 'new-password'));
    check?.();
    const first = el.querySelector('[aria-invalid]');
    if (first) return first.focus();

    go.disabled = true;
    go.setAttribute('aria-busy', 'true');
    try {
      const words = await submit(email.input.value.trim(), secret.input.value);
      if (words) el.replaceWith(h('p', {class: 'notice', role: 'status'}, words));
    } catch (error) {
      // Unhidden first: screen readers ignore changes to a hidden region.
      setHidden(alert, false);
      alert.replaceChildren(...explain(error));
      if (error.status === 401) secret.input.select();
    } finally {
      go.disabled = false;
      go.removeAttribute('aria-busy');
    }
  });

  const [question, href, answer] = other;
  return {
    title: () => title,
    form: el,
    el: h('section', {class: 'page auth-page'},
          h('h1', {tabindex: '-1'}, title), el,
          h('p', {class: 'aside'}, `${question} `, h('a', {href: href + location.search}, answer)),
          forgotten ? h('p', {class: 'aside'}, h('a', {href: '/forgotten'}, 'Forgot your password?')) : ''),
  };
}

function checkEmail(input) {
  if (!input.value.trim()) return 'Enter your e-mail address.';
  return input.validity.typeMismatch ? 'Enter a valid e-mail address.' : '';
}

function checkPassword(value, isNew) {
  const bytes = new TextEncoder().encode(value).length;

  if (!value) return isNew ? 'Choose a password.' : 'Enter your password.';
  if (bytes > PASSWORD_MAX) return `Too long: at most ${PASSWORD_MAX} bytes.`;
  return isNew ? passwordComplaint(value) : '';
}

function explain(error) {
  if (error.problem === 'email-taken')
    return ['An account with this e-mail already exists. ', h('a', {href: '/login' + location.search}, 'Log in'), ' instead?'];
  if (error.problem === 'bad-credentials') return ['The e-mail or password is wrong.'];
  if (error.status === 429)
    return [error.retryAfter ? `Too many attempts. Try again in ${error.retryAfter} s.` : 'Too many attempts. Try again later.'];
  return [error.message];
}
