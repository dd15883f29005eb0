/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The routes of the REST API, by subject. No other module spells one.

import {json, nextPage, send} from './http.js';

const PAGES_MAX = 200;
const EXPORT_MS = 300000; // after which the server breaks off, too
const enc = encodeURIComponent;

// Of what is not empty.
function query(values) {
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
}

async function ask(method, path, body, token) {
  return json(await send(method, path, {body, token}));
}

// Requests that need no session, or start one.
export const guest = {
  features: () => ask('GET', '/api/v1/features'),
  // admission: {invitation} or {setup_code}, where one is needed.
  signUp: (email, password, admission) => send('POST', '/api/v1/users/register', {body: {email, password, ...admission}}),
  logIn: (email, password) => ask('POST', '/api/v1/users/login', {email, password}),
  logInWithCode: (code) => ask('POST', '/api/v1/users/login-code', {code}),
  refresh: (token) => ask('POST', '/api/v1/users/refresh', {refresh_token: token}),
  logOut: (token) => ask('POST', '/api/v1/users/logout', {refresh_token: token}),
  me: (accessToken) => ask('GET', '/api/v1/users/me', undefined, accessToken),
  requestPasswordReset: (email) => send('POST', '/api/v1/users/password-reset', {body: {email}}),
  resetPassword: (token, password) => ask('POST', '/api/v1/users/password-reset/confirm', {token, password}),
  verifyEmail: (token) => ask('POST', '/api/v1/users/verify-email', {token}),
  confirmAddress: (token) => ask('POST', '/api/v1/account/email/confirm', {token}),
  publicPage: (token) => ask('GET', `/public/${enc(token)}`),
};

// Requests of the account that is logged in.
export class Api {
  #session;

  constructor(session) {
    this.#session = session;
  }

  account = {
    show: () => this.#ask('GET', '/api/v1/account'),
    change: (settings) => this.#ask('PATCH', '/api/v1/account', settings),
    // All data of the account, as a Blob.
    export: async () => (await this.#authorized('GET', '/api/v1/account/export', {signal: AbortSignal.timeout(EXPORT_MS)})).blob(),
    changeAddress: (email) => this.#authorized('POST', '/api/v1/account/email', {body: {email}}),
    keepAddress: () => this.#ask('DELETE', '/api/v1/account/email'),
    me: () => this.#ask('GET', '/api/v1/users/me'),
    loginCode: () => this.#ask('POST', '/api/v1/users/login-codes', {}),
    changePassword: (current, fresh, withdraw) => this.#ask('POST', '/api/v1/users/me/password', {
      current_password: current, new_password: fresh, withdraw_tokens: withdraw}),
    reauthenticate: (password) => this.#ask('POST', '/api/v1/users/me/reauthenticate', {password}),
    remove: (password) => this.#ask('DELETE', '/api/v1/users/me', {password}),
  };

  sessions = {
    list: () => this.#ask('GET', '/api/v1/sessions'),
    end: (id) => this.#ask('DELETE', `/api/v1/sessions/${enc(id)}`),
    endAll: () => this.#ask('DELETE', '/api/v1/sessions'),
    endOthers: () => this.#ask('DELETE', '/api/v1/sessions?keep=current'),
  };

  tokens = {
    list: () => this.#ask('GET', '/api/v1/api-tokens'),
    create: (name, scopes) => this.#ask('POST', '/api/v1/api-tokens', {name, scopes}),
    remove: (id) => this.#ask('DELETE', `/api/v1/api-tokens/${enc(id)}`),
  };

  invitations = {
    list: () => this.#list('/api/v1/invitations?limit=1000'),
    create: (email) => this.#ask('POST', '/api/v1/invitations', email ? {email} : {}),
    remove: (id) => this.#ask('DELETE', `/api/v1/invitations/${enc(id)}`),
  };

  teams = {
    list: () => this.#ask('GET', '/api/v1/teams'),
    get: (id) => this.#ask('GET', `/api/v1/teams/${enc(id)}`),
    create: (name) => this.#ask('POST', '/api/v1/teams', {name}),
    rename: (id, name) => this.#ask('PATCH', `/api/v1/teams/${enc(id)}`, {name}),
    remove: (id) => this.#ask('DELETE', `/api/v1/teams/${enc(id)}`),
    leave: (id) => this.#ask('POST', `/api/v1/teams/${enc(id)}/leave`, {}),
    join: (invitation) => this.#ask('POST', '/api/v1/teams/join', {invitation}),
    members: (id) => this.#ask('GET', `/api/v1/teams/${enc(id)}/members`),
    setRole: (id, user, role) => this.#ask('PATCH', `/api/v1/teams/${enc(id)}/members/${enc(user)}`, {role}),
    removeMember: (id, user) => this.#ask('DELETE', `/api/v1/teams/${enc(id)}/members/${enc(user)}`),
    invitations: (id) => this.#ask('GET', `/api/v1/teams/${enc(id)}/invitations`),
    invite: (id, role, email) => this.#ask('POST', `/api/v1/teams/${enc(id)}/invitations`, email ? {role, email} : {role}),
    withdraw: (id, invitation) => this.#ask('DELETE', `/api/v1/teams/${enc(id)}/invitations/${enc(invitation)}`),
    moveServer: (server, team) => this.#ask('PUT', `/api/v1/servers/${enc(server)}/team`, {team}),
  };

  servers = {
    list: () => this.#list('/api/v1/servers?limit=1000'),
    // team: of the user; the personal one without it.
    register: (name, labels, team) => this.#ask('POST', '/api/v1/agents/register', {server_name: name, labels, ...(team ? {team} : {})}),
    change: (id, changes) => this.#ask('PATCH', `/api/v1/servers/${enc(id)}`, changes),
    remove: (id) => this.#ask('DELETE', `/api/v1/servers/${enc(id)}`),
    createToken: (id) => this.#ask('POST', `/api/v1/servers/${enc(id)}/claim-token`, {}),
    keepHost: (id, keep) => this.#ask('POST', `/api/v1/servers/${enc(id)}/duplicate`, {keep}),
    // The addresses of the public page, {page, badge}, or null.
    publicPage: async (id) => {
      const {public_page: page} = await this.#ask('GET', `/api/v1/servers/${enc(id)}`);
      return page ? {page, badge: `${page}/badge.svg`} : null;
    },
    openPage: (id) => this.#ask('PUT', `/api/v1/servers/${enc(id)}/public-page`, {}),
    closePage: (id) => this.#ask('DELETE', `/api/v1/servers/${enc(id)}/public-page`),
  };

  services = {
    list: (id) => this.#list(`/api/v1/servers/${enc(id)}/services?limit=1000`),
    events: (id, name, limit) => this.#ask('GET', `/api/v1/servers/${enc(id)}/services/${enc(name)}/events?limit=${limit}`),
    timeline: (id, name) => this.#ask('GET', `/api/v1/servers/${enc(id)}/services/${enc(name)}/timeline`),
    acknowledge: (id, name, reason) => this.#ask('POST', `/api/v1/servers/${enc(id)}/services/${enc(name)}/acknowledgement`, {reason}),
    withdraw: (id, name) => this.#ask('DELETE', `/api/v1/servers/${enc(id)}/services/${enc(name)}/acknowledgement`),
  };

  silences = {
    list: () => this.#ask('GET', '/api/v1/silences'),
    create: (silence) => this.#ask('POST', '/api/v1/silences', silence),
    end: (id) => this.#ask('DELETE', `/api/v1/silences/${enc(id)}`),
  };

  notifications = {
    list: (limit) => this.#ask('GET', `/api/v1/notifications?limit=${limit}`),
    settings: () => this.#ask('GET', '/api/v1/notifications/settings'),
    change: (settings) => this.#ask('PATCH', '/api/v1/notifications/settings', settings),
  };

  channels = {
    list: () => this.#ask('GET', '/api/v1/notifications/channels'),
    create: (channel) => this.#ask('POST', '/api/v1/notifications/channels', channel),
    change: (id, channel) => this.#ask('PATCH', `/api/v1/notifications/channels/${enc(id)}`, channel),
    remove: (id) => this.#ask('DELETE', `/api/v1/notifications/channels/${enc(id)}`),
    test: (id) => this.#ask('POST', `/api/v1/notifications/channels/${enc(id)}/test`, {}),
  };

  push = {
    key: () => this.#ask('GET', '/api/v1/push/key'),
    list: () => this.#ask('GET', '/api/v1/push/subscriptions'),
    subscribe: (subscription) => this.#ask('POST', '/api/v1/push/subscriptions', subscription),
    remove: (id) => this.#ask('DELETE', `/api/v1/push/subscriptions/${enc(id)}`),
  };

  // Of administrators of the backend.
  admin = {
    // A page: {items, next}; path: the next of the page before, or null.
    accounts: (filter, path = null) => this.#page(path ?? `/api/v1/admin/accounts?limit=50&${query(filter)}`),
    grant: (id) => this.#ask('PUT', `/api/v1/admin/accounts/${enc(id)}/administrator`, {}),
    revoke: (id) => this.#ask('DELETE', `/api/v1/admin/accounts/${enc(id)}/administrator`),
    lock: (id) => this.#ask('PUT', `/api/v1/admin/accounts/${enc(id)}/lock`, {}),
    unlock: (id) => this.#ask('DELETE', `/api/v1/admin/accounts/${enc(id)}/lock`),
    mailReset: (id) => this.#authorized('POST', `/api/v1/admin/accounts/${enc(id)}/password-reset`, {body: {}}),
    audit: (filter, path = null) => this.#page(path ?? `/api/v1/admin/audit?limit=50&${query(filter)}`),
    // The log as a file: a Blob.
    exportAudit: async (filter, format) => (await this.#authorized('GET', `/api/v1/admin/audit/export?format=${format}&${query(filter)}`, {
      signal: AbortSignal.timeout(EXPORT_MS), accept: format === 'csv' ? 'text/csv' : 'application/json'})).blob(),
    figures: () => this.#ask('GET', '/api/v1/admin/figures'),
    announce: (text, seconds) => this.#ask('POST', '/api/v1/admin/announcements', {text, expires_in: seconds}),
    withdrawAnnouncement: (id) => this.#ask('DELETE', `/api/v1/admin/announcements/${enc(id)}`),
    signUp: () => this.#ask('GET', '/api/v1/admin/sign-up'),
    setSignUp: (mode) => this.#ask('PUT', '/api/v1/admin/sign-up', {sign_up: mode}),
    invitations: (path = null) => this.#page(path ?? '/api/v1/admin/invitations?limit=50'),
    invite: (email) => this.#ask('POST', '/api/v1/admin/invitations', email ? {email} : {}),
    withdrawInvitation: (id) => this.#ask('DELETE', `/api/v1/admin/invitations/${enc(id)}`),
    removeAccount: (id) => this.#ask('DELETE', `/api/v1/admin/accounts/${enc(id)}`),
  };

  announcements() {
    return this.#ask('GET', '/api/v1/announcements');
  }

  features() {
    return this.#ask('GET', '/api/v1/features');
  }

  // The QR code as the address of an image.
  async qr(text) {
    const svg = await (await this.#authorized('POST', '/api/v1/qr', {body: {text}, accept: 'image/svg+xml'})).text();
    return `data:image/svg+xml;base64,${btoa(svg)}`;
  }

  stream(signal) {
    return this.#authorized('GET', '/api/v1/stream', {signal, accept: 'text/event-stream'});
  }

  async #ask(method, path, body) {
    return json(await this.#authorized(method, path, {body}));
  }

  async #page(path) {
    const response = await this.#authorized('GET', path);
    return {items: await json(response), next: nextPage(response)};
  }

  async #list(path) {
    const all = [];
    for (let pages = 0; path && pages < PAGES_MAX; pages++) {
      const response = await this.#authorized('GET', path);
      all.push(...await json(response));
      path = nextPage(response);
    }
    return all;
  }

  // Sends with an access token; one that the server no longer accepts is renewed once.
  async #authorized(method, path, options = {}) {
    const token = await this.#session.accessToken();
    try {
      return await send(method, path, {...options, token});
    } catch (e) {
      if (e.status !== 401) throw e;
    }
    return send(method, path, {...options, token: await this.#session.accessToken(token)});
  }
}
