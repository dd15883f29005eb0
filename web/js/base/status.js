/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The four statuses, what is shown beside them, and which of two things needs attention first.

import {h, setText} from './dom.js';
import {icon} from './icons.js';

export const STATUSES = ['FAILURE', 'WARNING', 'UPDATE', 'OK']; // worst first
export const WORDS = {FAILURE: 'Failure', WARNING: 'Warning', UPDATE: 'Update', OK: 'OK', none: 'No result'};
export const LINK_WORDS = {online: 'Online', offline: 'Offline', rebooting: 'Rebooting', pending: 'Not connected yet'};

const ERROR_WORDS = {
  'exit-code': 'Exited with an error',
  'signal': 'Killed by a signal',
  'core-dump': 'Crashed',
  'timeout': 'Timed out',
  'oom-kill': 'Out of memory',
  'no-status-line': 'Printed no status',
  'resources': 'Could not be started',
  'not-executable': 'Not executable',
  'other': 'Failed to run',
};

export function errorWords(kind) {
  return ERROR_WORDS[kind] ?? ERROR_WORDS.other;
}

function known(status) {
  return status in WORDS ? status : 'none';
}

// A mark with a shape and a word: {el, set(status)}.
export function statusMark(missing = WORDS.none) {
  return mark('status', (status) => known(status ?? 'none'), (key) => (key === 'none' ? missing : WORDS[key]));
}

export function linkMark() {
  return mark('conn', (state) => (state in LINK_WORDS ? state : 'offline'), (key) => LINK_WORDS[key]);
}

function mark(className, keyOf, wordOf) {
  const word = h('span', {class: 'word'});
  const el = h('span', {class: className}, word);

  return {
    el,
    set(value) {
      const key = keyOf(value);
      if (el.dataset.value === key) return;
      el.dataset.value = key;
      el.querySelector('.icon')?.remove();
      el.prepend(icon(key));
      setText(word, wordOf(key));
    },
  };
}

// Whether there is something to acknowledge.
export function isTrouble(service) {
  return Boolean(service.error || service.stale || (service.status && service.status !== 'OK'));
}

// How bad a service is for those that depend on it: the backend's rule for holding back alerts.
function severity(service) {
  return service.status === 'FAILURE' ? 3 : service.status === 'WARNING' || service.error ? 2 : 0;
}

// Why services are in trouble: by the name of a service, its root cause, a service that it depends on and that is at
// least as bad. The backend rejects circular dependencies.
export function findCauses(services) {
  const causes = new Map();
  const above = (service) => {
    const bad = Math.max(severity(service), service.stale ? 2 : 0);
    if (!bad || !service.depends_on?.length) return [];
    return service.depends_on.map((name) => services.get(name)).filter((other) => other && severity(other) >= bad);
  };

  for (const service of services.values()) {
    const [cause] = above(service).filter((other) => !above(other).length).sort(compareServices);
    if (cause) causes.set(service.name, cause);
  }
  return causes;
}

// The sorted services, each after its cause if that is among them.
export function behindCauses(sorted, causes) {
  if (!causes.size) return sorted;
  const there = new Set(sorted.map((service) => service.name));
  const followers = Map.groupBy(sorted, ({name}) => (there.has(causes.get(name)?.name) ? causes.get(name).name : null));
  return (followers.get(null) ?? []).flatMap((service) => [service, ...followers.get(service.name) ?? []]);
}

// "2 more depend on it"
export function dependantsText(n) {
  return n ? `${n} more ${n === 1 ? 'depends' : 'depend'} on it` : '';
}

// A service in the form in which a server carries its worst one.
export function asWorst({name, title, status, message, error, stale}) {
  return {name, title, status, message, error, stale};
}

// An execution error is shown beside the status and does not replace it: the status is the last known one.
function serviceRank(service) {
  if (service.status === 'FAILURE') return 0;
  if (service.error || service.stale) return 1;
  if (service.status === 'WARNING') return 2;
  if (service.status === 'UPDATE') return 3;
  if (service.status === null) return 5;
  return 4;
}

// An offline server may hide anything, so it comes before lesser trouble that is known.
function serverRank(server) {
  if (server.state === 'pending') return 6;
  if (server.worst_status === 'FAILURE') return 0;
  if (server.state === 'offline') return 1;
  if (server.errors > 0 || server.stale > 0) return 2;
  if (server.worst_status === 'WARNING') return 3;
  if (server.worst_status === 'UPDATE') return 4;
  return 5;
}

const collator = new Intl.Collator(undefined, {numeric: true, sensitivity: 'base'});

export function compareServices(a, b) {
  return serviceRank(a) - serviceRank(b) || collator.compare(a.title || a.name, b.title || b.name) ||
         (a.name < b.name ? -1 : 1);
}

export function compareServers(a, b) {
  return serverRank(a) - serverRank(b) || (b.counts.FAILURE - a.counts.FAILURE) || (b.counts.WARNING - a.counts.WARNING) ||
         collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1);
}

// Sums over all servers.
export function totals(servers) {
  const sum = {FAILURE: 0, WARNING: 0, UPDATE: 0, OK: 0, errors: 0, stale: 0, services: 0, offline: 0, rebooting: 0, pending: 0, servers: 0};

  for (const server of servers) {
    for (const status of STATUSES) sum[status] += server.counts[status] ?? 0;
    sum.errors += server.errors;
    sum.stale += server.stale ?? 0;
    sum.services += server.services;
    sum.servers++;
    if (server.state !== 'online') sum[server.state]++;
  }
  return sum;
}

export function countServices(services) {
  const sum = {FAILURE: 0, WARNING: 0, UPDATE: 0, OK: 0, errors: 0, stale: 0, services: 0};

  for (const service of services) {
    if (service.status in sum) sum[service.status]++;
    if (service.error) sum.errors++;
    if (service.stale) sum.stale++;
    sum.services++;
  }
  return sum;
}

export function plural(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}
