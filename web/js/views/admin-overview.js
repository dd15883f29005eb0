/* SPDX-License-Identifier: LGPL-2.1-or-later */
// What the backend holds and does, for administrators.

import {foreign, h, svg} from '../base/dom.js';
import {plural} from '../base/status.js';
import {absolute, time} from '../base/time.js';
import {adminPage} from '../parts/admin.js';
import {plainTable, section} from '../parts/section.js';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];
const WIDTH = 300, HEIGHT = 60;

function size(bytes) {
  if (bytes === null || bytes === undefined) return 'not known';
  let value = bytes, unit = 0;
  for (; value >= 1000 && unit + 1 < UNITS.length; unit++) value /= 1000;
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

// A line through the samples that have a value, above 0; what it shows is in its caption, too.
function chart(title, samples, valueOf, format) {
  const points = samples.map((s) => ({at: Date.parse(s.at), value: valueOf(s)})).filter(({value}) => value !== null);
  if (points.length < 2) return null;

  const [first, last] = [points[0], points.at(-1)];
  const most = points.reduce((a, b) => (b.value > a.value ? b : a));
  const x = ({at}) => (WIDTH * (at - first.at) / (last.at - first.at)).toFixed(1);
  const y = ({value}) => (HEIGHT - 1 - (HEIGHT - 2) * value / (most.value || 1)).toFixed(1);
  return h('figure', {class: 'chart'},
           h('figcaption', {}, h('strong', {}, title), ` ${format(last.value)} now, at most ${format(most.value)} (${absolute(most.at)})`),
           svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true'},
               svg('path', {class: 'ground', d: `M0 ${HEIGHT - .5}h${WIDTH}`}),
               svg('path', {class: 'curve', d: points.map((p, i) => `${i ? 'L' : 'M'}${x(p)} ${y(p)}`).join('')})));
}

function facts(rows) {
  return h('dl', {class: 'admin-facts'}, rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

function database({database: d, partitions, history_days: days, audit_days: audit, backup}) {
  return facts([
    ['Size', d ? `${size(d.bytes)}, of which history ${size(d.history_bytes)}` : 'being read'],
    ['Free on its disk', d ? `${size(d.free_bytes)}${d.disk_bytes === null ? '' : ` of ${size(d.disk_bytes)}`}` : 'being read'],
    ['History', `kept for ${plural(days, 'day')}; the oldest is of ${partitions.oldest ?? '–'}`],
    ['Audit log', `kept for ${plural(audit, 'day')}`],
    ['VACUUM', d ? `${plural(d.vacuum_waiting, 'table')} waiting, ${plural(d.dead_rows, 'dead row')}` : 'being read'],
    ['Last backup', backup ? [time(backup.at), backup.event === 'backup.failed' ? ' (failed)' : ''] : 'none with ssictl'],
  ]);
}

export function adminOverviewView({api}) {
  const all = section('admin-figures', 'Now', {
    read: () => api.admin.figures(),
    show: (f) => {
      const charts = [chart('Results per second', f.samples, (s) => s.results_per_second, (v) => String(Number(v.toFixed(v < 10 ? 2 : 0)))),
                      chart('Database', f.samples, (s) => s.database_bytes, size),
                      chart('Connected servers', f.samples, (s) => s.connected, String)].filter(Boolean);
      return [
        facts([['Accounts', String(f.accounts)], ['Servers', `${f.servers}, ${f.connected} connected`], ['Services', String(f.services)]]),
        h('h2', {class: 'below'}, 'Last week'),
        charts.length ? h('div', {class: 'charts'}, charts)
          : h('p', {class: 'muted'}, 'Nothing to draw yet. A sample is kept every ten minutes, for a week.'),
        h('h2', {class: 'below'}, 'Database'), database(f),
        h('p', {class: 'muted'}, 'Backups and restores need root on the backend’s host: ', h('code', {}, 'ssictl server backup FILE'), '.'),
        h('h2', {class: 'below'}, 'Instances'),
        plainTable('Instances', ['Host', 'Version', 'State', 'Started'], f.instances.map((i) => [
          foreign('bdi', {}, i.hostname ?? 'not known'), i.version ?? '–', i.alive ? 'Running' : ['Last seen ', time(i.seen_at)], time(i.started_at),
        ])),
      ];
    },
  });

  return {
    title: () => 'Administration',
    heard: (event) => event === 'ready' && all.load(),
    el: adminPage('/admin', 'Administration', all.el),
  };
}
