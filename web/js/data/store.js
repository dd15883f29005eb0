/* SPDX-License-Identifier: LGPL-2.1-or-later */
// What the page knows: the servers, and the services of those that were opened. Lists are read over HTTP and kept
// up to date by the stream. An event that arrives while a list is being read may be newer or older than the list:
// it is applied immediately, and again after the list. The stream is ordered, so the last state applied is the newest.

import {asWorst, isTrouble} from '../base/status.js';
import {getKnown, putKnown} from './vault.js';

const RETRY_MS = 3000;
const KEEP_MS = 10000; // between two writes to the vault

export class Store extends EventTarget {
  servers = new Map(); // by id
  services = new Map(); // by server id: a Map by name, or the ApiError of a failed read
  loaded = false;
  error = null; // of the last read of the servers
  keptAt = null; // the time of the state that an earlier visit left, ms since the epoch; null once the servers have been read

  #api;
  #watched = null;
  #pending = new Set(); // reads in progress; each records the events that arrive in the meantime
  #retry = 0;
  #epoch = 0;
  #account = null;
  #stale = new Set(); // what the vault does not have yet: 'servers' or the id of a server
  #keeping = 0;

  constructor(api) {
    super();
    this.#api = api;
    document.addEventListener('visibilitychange', () => document.hidden && this.#keep());
  }

  // Starts from the account's last known state, if there is one.
  async open(account) {
    this.#account = account;
    const epoch = this.#epoch;
    const kept = await getKnown('servers').catch(() => undefined);

    if (!kept || this.loaded || epoch !== this.#epoch) return;
    this.servers = new Map(kept.items.map((s) => [s.id, s]));
    this.keptAt = kept.at;
    this.#changed();
  }

  clear() {
    this.#epoch++;
    clearTimeout(this.#retry);
    this.#pending.clear();
    this.#watched = null;
    this.servers.clear();
    this.services.clear();
    this.loaded = false;
    this.error = null;
    this.keptAt = null;
    this.#account = null;
    clearTimeout(this.#keeping);
    this.#keeping = 0;
    this.#stale.clear();
  }

  // Whether there is anything to show.
  get known() {
    return this.loaded || this.servers.size > 0;
  }

  // Keeps the services of one server up to date, until called with another id or null.
  watch(serverId) {
    this.#watched = serverId;
    if (serverId && !(this.services.get(serverId) instanceof Map)) {
      this.services.delete(serverId);
      this.#recall(serverId);
      this.#readServices(serverId);
    }
  }

  async #recall(id) {
    const epoch = this.#epoch;
    const kept = await getKnown(id).catch(() => undefined);
    const services = this.services.get(id);

    if (!kept || epoch !== this.#epoch || services instanceof Map || services?.status === 404) return;
    this.services.set(id, new Map(kept.items.map((s) => [s.name, s])));
    if (this.keptAt !== null) this.keptAt = Math.min(this.keptAt, kept.at);
    this.#changed();
  }

  // Reloads everything that is shown.
  async sync() {
    for (const id of this.services.keys()) {
      if (id !== this.#watched) this.services.delete(id);
    }
    clearTimeout(this.#retry);
    await Promise.all([this.#readServers(), this.#watched && this.#readServices(this.#watched)]);
  }

  async #readServers() {
    try {
      await this.#read(this.#api.servers.list(), (servers) => {
        this.servers = new Map(servers.map((s) => [s.id, s]));
        this.loaded = true;
        this.error = null;
        this.keptAt = null;
        this.#keepSoon('servers');
      });
    } catch (e) {
      if (e.status === 401) return;
      this.error = e;
      this.#retry = setTimeout(() => this.sync(), Math.max(RETRY_MS, e.retryAfter * 1000));
    }
    this.#changed();
  }

  async #readServices(id) {
    try {
      await this.#read(this.#api.services.list(id), (services) => {
        this.services.set(id, new Map(services.map((s) => [s.name, s])));
        this.#keepSoon(id);
      });
    } catch (e) {
      if (e.status === 401) return;
      if (!(this.services.get(id) instanceof Map) || e.status === 404) this.services.set(id, e);
      if (e.status !== 404) this.#retry = setTimeout(() => this.sync(), Math.max(RETRY_MS, e.retryAfter * 1000));
    }
    this.#changed();
  }

  async #read(promise, take) {
    const epoch = this.#epoch;
    const reading = [];

    this.#pending.add(reading);
    try {
      const items = await promise;
      if (epoch !== this.#epoch) return;
      take(items);
    } finally {
      this.#pending.delete(reading);
    }
    for (const [event, data] of reading) this.#take(event, data);
  }

  apply(event, data) {
    for (const reading of this.#pending) reading.push([event, data]);
    if (this.#take(event, data)) this.#changed();
  }

  #take(event, data) {
    switch (event) {
    case 'server':
      this.#note('server', this.servers.get(data.id), data, data);
      this.servers.set(data.id, data);
      this.#keepSoon('servers');
      return true;
    case 'server-removed':
      this.#keepSoon('servers');
      this.services.delete(data.server_id);
      return this.servers.delete(data.server_id);
    case 'service': {
      const services = this.services.get(data.server_id);
      const changed = this.#updateWorst(data);
      if (!(services instanceof Map)) return changed;
      this.#note('service', services.get(data.service.name), data.service, this.servers.get(data.server_id));
      services.set(data.service.name, data.service);
      this.#keepSoon(data.server_id);
      return true;
    }
    case 'service-removed': {
      const services = this.services.get(data.server_id);
      return services instanceof Map && services.delete(data.name);
    }
    default:
      return false; // from a newer server
    }
  }

  // The stream sends a server when a status changes, not for each message: the message of its worst service is taken from here.
  #updateWorst({server_id: id, service}) {
    const server = this.servers.get(id);

    if (server?.worst_service?.name !== service.name || !isTrouble(service)) return false;
    this.servers.set(id, {...server, worst_service: {...server.worst_service, ...asWorst(service)}});
    this.#keepSoon('servers');
    return true;
  }

  // Dispatches 'turn' for a change of status or connection.
  #note(kind, before, after, server) {
    const differs = kind === 'server' ? before?.state !== after.state : before?.status !== after.status;
    if (before && differs) this.dispatchEvent(new CustomEvent('turn', {detail: {kind, before, after, server}}));
  }

  #keepSoon(key) {
    this.#stale.add(key);
    this.#keeping ||= setTimeout(() => this.#keep(), KEEP_MS);
  }

  #keep() {
    clearTimeout(this.#keeping);
    this.#keeping = 0;
    if (!this.#account || this.keptAt !== null) return;
    for (const key of this.#stale) {
      const items = key === 'servers' ? this.servers : this.services.get(key);
      if (items instanceof Map) putKnown(this.#account, key, [...items.values()]).catch(() => {}); // a full disk only costs the offline view
    }
    this.#stale.clear();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
