/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Log in and sign up.

import {h, setHidden} from '../base/dom.js';
import {PASSWORD_MIN, field, passwordComplaint, passwordField} from '../parts/forms.js';

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

export function signUpView({session}) {
  return form({
    title: 'Sign up',
    button: 'Create account',
    password: 'new-password',
    hint: `At least ${PASSWORD_MIN} characters. A few words work well.`,
    other: ['Already have an account?', '/login', 'Log in'],
    submit: async (email, password) => (await session.signUp(email, password)) ? ''
      : `A mail is on its way to ${email}. Open the link in it to finish.`,
  });
}

function form({title, button, password, hint, other, forgotten, submit}) {
  const email = field('email', 'E-mail', h('input', {
    type: 'email', name: 'email', autocomplete: 'username', inputmode: 'email', spellcheck: 'false',
    autocapitalize: 'none', required: true, autofocus: true, maxlength: '254',
  }));
  const secret = passwordField('password', 'Password', {name: 'password', autocomplete: password, required: true}, hint);
  const alert = h('p', {class: 'notice bad', role: 'alert', hidden: true});
  const go = h('button', {type: 'submit', class: 'primary wide'}, button);
  const el = h('form', {class: 'auth', novalidate: true}, alert, email.el, secret.el, go);

  el.addEventListener('submit', async (e) => {
    e.preventDefault();
    setHidden(alert, true);
    email.complain(checkEmail(email.input));
    secret.complain(checkPassword(secret.input.value, password === 'new-password'));
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
