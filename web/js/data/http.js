/* SPDX-License-Identifier: LGPL-2.1-or-later */
// HTTP to the backend: JSON in, JSON out, every failure an ApiError. The routes are in api.js.

import {learnServerTime} from '../base/time.js';

const TIMEOUT_MS = 15000;

export class ApiError extends Error {
  // status: the HTTP status, 0 without an answer. problem: the last part of urn:ssi:problem:<name>.
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

// Sends one request, as given. Returns the Response if it succeeded.
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
    // Some proxies answer with a page of their own: only the status is known.
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
    throw new ApiError(response.status, 'bad-answer', 'The server sent an invalid answer.');
  }
}

// The address of the next page, or null (RFC 8288).
export function nextPage(response) {
  const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(response.headers.get('link') ?? '');
  if (!link) return null;
  const url = new URL(link[1], response.url);
  return url.origin === location.origin ? url.pathname + url.search : null;
}
