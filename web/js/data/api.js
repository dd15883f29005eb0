/* SPDX-License-Identifier: LGPL-2.1-or-later */
// HTTP to the backend: JSON in, JSON out, every failure an ApiError.

import {learnServerTime} from '../base/time.js';

const TIMEOUT_MS = 15000;
const PAGES_MAX = 200;

export class ApiError extends Error {
  // status: of HTTP, 0 when there was no answer. problem: the last part of urn:ssi:problem:<name>.
  constructor(status, problem, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

export class SignedOut extends ApiError {
  constructor() {
    super(401, 'signed-out', 'You are logged out.');
  }
}

// A request with nothing but what is given. Returns the Response of a success.
export async function send(method, path, {body, token, signal = AbortSignal.timeout(TIMEOUT_MS), accept} = {}) {
  const headers = {Accept: accept ?? 'application/json, application/problem+json'};
  let response;

  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  try {
    response = await fetch(path, {method, headers, signal, cache: 'no-store', credentials: 'omit', redirect: 'error',
                                  body: body === undefined ? undefined : JSON.stringify(body)});
  } catch (e) {
    throw new ApiError(0, e.name === 'TimeoutError' ? 'timeout' : 'unreachable',
                       e.name === 'TimeoutError' ? 'The server did not answer in time.' : 'The server cannot be reached.');
  }
  if (response.headers.has('date')) learnServerTime(response.headers.get('date'));
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  let problem = {};

  try {
    problem = await response.json();
  } catch {
    // Some proxies answer with a page of their own: the number has to do.
  }
  return new ApiError(response.status, String(problem.type ?? '').split(':').pop(),
                      problem.detail || problem.title || `The server answered ${response.status}.`,
                      Number(response.headers.get('retry-after')) || 0);
}

export async function json(response) {
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch {
    throw new ApiError(response.status, 'bad-answer', 'The server sent an answer that cannot be read.');
  }
}

// The address of the next page, when the answer names one (RFC 8288).
function nextPage(response) {
  const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(response.headers.get('link') ?? '');
  if (!link) return null;
  const url = new URL(link[1], response.url);
  return url.origin === location.origin ? url.pathname + url.search : null;
}

export class Api {
  #session;

  constructor(session) {
    this.#session = session;
  }

  // Sends with an access token; one that the server no longer takes is renewed once.
  async authorized(method, path, options = {}) {
    const token = await this.#session.accessToken();
    try {
      return await send(method, path, {...options, token});
    } catch (e) {
      if (e.status !== 401) throw e;
    }
    return send(method, path, {...options, token: await this.#session.accessToken(token)});
  }

  async #list(path) {
    const all = [];
    for (let pages = 0; path && pages < PAGES_MAX; pages++) {
      const response = await this.authorized('GET', path);
      all.push(...await json(response));
      path = nextPage(response);
    }
    return all;
  }

  get(path) {
    return this.#ask('GET', path);
  }

  post(path, body) {
    return this.#ask('POST', path, body);
  }

  put(path, body) {
    return this.#ask('PUT', path, body);
  }

  patch(path, body) {
    return this.#ask('PATCH', path, body);
  }

  delete(path) {
    return this.#ask('DELETE', path);
  }

  async #ask(method, path, body) {
    return json(await this.authorized(method, path, {body}));
  }

  servers() {
    return this.#list('/api/v1/servers?limit=1000');
  }

  services(serverId) {
    return this.#list(`/api/v1/servers/${encodeURIComponent(serverId)}/services?limit=1000`);
  }

  async events(serverId, name, limit) {
    return json(await this.authorized('GET', `/api/v1/servers/${encodeURIComponent(serverId)}/services/` +
                                      `${encodeURIComponent(name)}/events?limit=${limit}`));
  }

  async timeline(serverId, name) {
    return json(await this.authorized('GET', `/api/v1/servers/${encodeURIComponent(serverId)}/services/` +
                                      `${encodeURIComponent(name)}/timeline`));
  }

  // As an address for an image.
  async qr(text) {
    const svg = await (await this.authorized('POST', '/api/v1/qr', {body: {text}, accept: 'image/svg+xml'})).text();
    return `data:image/svg+xml;base64,${btoa(svg)}`;
  }

  async registerServer(name, labels) {
    return json(await this.authorized('POST', '/api/v1/agents/register', {body: {server_name: name, labels}}));
  }

  stream(signal) {
    return this.authorized('GET', '/api/v1/stream', {signal, accept: 'text/event-stream'});
  }
}
