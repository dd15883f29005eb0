/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The statuses of a service over the last days: a lane per day, in which a higher bar is a worse status, so that none
// depends on its colour; execution errors are marked below the bars, because they are not a status.

import {h, setText, svg} from '../base/dom.js';
import {STATUSES, WORDS, plural} from '../base/status.js';
import {absolute, dayName, midnight, span} from '../base/time.js';

const DAY = 24 * 60 * 60 * 1000;
const WIDTH = 1440; // units, one per minute
const HEIGHT = 24;
const LEAST = 4; // units; keeps short stretches visible
const TALL = {OK: 8, UPDATE: 12, WARNING: 17, FAILURE: 22};
const LISTED = 50;

// The stretches, cut at the viewer's midnights: [{start, next, bars: [{status, from, to}], errors: [at]}], today first.
export function lanes({from, to, stretches, errors}) {
  const begin = Date.parse(from), end = Date.parse(to);
  const days = [];

  for (let start = midnight(end); start > begin - DAY && days.length < 8; start = midnight(start - 1)) {
    const next = midnight(start + DAY + DAY / 2); // a day may have 23 or 25 hours
    const inside = (at) => Math.min(Math.max(at, start), next);
    const bars = stretches.map((s) => ({status: s.status, from: inside(Date.parse(s.from)), to: inside(Math.min(Date.parse(s.to), end))}))
      .filter((bar) => bar.to > bar.from);

    days.push({start, next, bars, errors: errors.map((e) => Date.parse(e.at)).filter((at) => at >= start && at < next)});
    if (start <= begin) break;
  }
  return days;
}

// Drops the days before the first one with data.
export function begun(days) {
  const first = days.findLastIndex(({bars, errors}) => bars.length || errors.length);
  return days.slice(0, Math.max(first, 0) + 1);
}

// How long each status lasted and how often it began: [{status, ms, times, longest}], worst first, including OK.
function shares({stretches}) {
  return STATUSES.map((status) => {
    const lengths = stretches.filter((s) => s.status === status).map((s) => Date.parse(s.to) - Date.parse(s.from));
    return {status, ms: lengths.reduce((a, b) => a + b, 0), times: lengths.length, longest: Math.max(0, ...lengths)};
  }).filter((share) => share.times);
}

function percent(part, whole) {
  const value = 100 * part / whole;
  if (value > 99.9 && part < whole) return '> 99.9 %';
  if (value < 0.1) return '< 0.1 %';
  return `${Number(value.toFixed(1))} %`;
}

export function summarize(timeline) {
  const all = shares(timeline);
  const known = all.reduce((sum, s) => sum + s.ms, 0);
  const n = timeline.errors.length;
  const parts = all.map((s) => `${WORDS[s.status]} ${percent(s.ms, known)}` +
    (s.status === 'OK' ? '' : ` (${plural(s.times, 'time')}, ${s.times > 1 ? `longest ${span(s.longest / 1000)}` : span(s.longest / 1000)})`));

  if (n) parts.push(plural(n, 'execution error'));
  return parts.length ? `${parts.join(', ')}.` : 'Nothing was reported in this period.';
}

// {el, show(timeline)}
export function timelineFigure() {
  const text = h('p', {class: 'timeline-text'});
  const days = h('div', {class: 'days', 'aria-hidden': 'true'});
  const before = h('p', {class: 'before'});
  const list = h('ul', {role: 'list'});
  const details = h('details', {class: 'changes'}, h('summary', {}, 'List of changes'), list);
  const key = h('p', {class: 'key', 'aria-hidden': 'true'},
                STATUSES.toReversed().map((status) => h('span', {}, chip(status), WORDS[status])),
                h('span', {}, svg('svg', {viewBox: '0 0 10 24', class: 'chip'}, svg('path', {class: 'tick', d: 'M5 10v8'})), 'Execution error'));
  const el = h('section', {class: 'timeline'}, h('h2', {id: 'timeline-title'}, 'Last 7 days'), text,
               h('figure', {'aria-labelledby': 'timeline-title'}, days, before, key), details);

  return {
    el,
    show(timeline) {
      setText(text, summarize(timeline));
      const all = lanes(timeline), known = begun(all);
      days.replaceChildren(...known.map(lane));
      setText(before, known.length < all.length ? `No data for the ${plural(all.length - known.length, 'day')} before.` : '');
      const changes = changesOf(timeline);
      details.hidden = !changes.length;
      list.replaceChildren(...changes.slice(0, LISTED).map((change) => h('li', {}, change)),
                           ...(changes.length > LISTED ? [h('li', {class: 'muted'}, `And ${changes.length - LISTED} earlier.`)] : []));
    },
  };
}

function chip(status) {
  return svg('svg', {viewBox: `0 0 10 ${HEIGHT}`, class: 'chip'}, bar(status, 0, 10));
}

function bar(status, x, width) {
  return svg('rect', {data: {value: status}, x, y: HEIGHT - TALL[status], width, height: TALL[status]});
}

function lane({start, next, bars, errors}) {
  const x = (at) => WIDTH * (at - start) / (next - start);
  const drawing = svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT + 12}`, preserveAspectRatio: 'none'},
    svg('path', {class: 'ground', d: `M0 ${HEIGHT}h${WIDTH}`}),
    [6, 12, 18].map((hour) => svg('path', {class: 'hour', d: `M${hour * 60} 0v${HEIGHT}`})),
    // Worse ones are drawn last, so that none of them is covered.
    bars.toSorted((a, b) => TALL[a.status] - TALL[b.status]).map((b) => {
      const width = Math.max(x(b.to) - x(b.from), LEAST);
      return bar(b.status, Math.min(x(b.from), WIDTH - width).toFixed(1), width.toFixed(1));
    }),
    errors.length ? svg('path', {class: 'tick', d: errors.map((at) => `M${x(at).toFixed(1)} ${HEIGHT + 3}v8`).join('')}) : null);
  const today = midnight(Date.now()) === start;

  return h('div', {class: 'day'},
           h('span', {class: 'day-name'}, today ? 'Today' : dayName(start)),
           drawing);
}

// Newest first.
function changesOf({stretches, errors}) {
  const spoken = [
    ...stretches.map((s) => ({at: Date.parse(s.from), text: `${WORDS[s.status]} for ${span((Date.parse(s.to) - Date.parse(s.from)) / 1000)}`})),
    ...errors.map((e) => ({at: Date.parse(e.at), text: 'Execution error'})),
  ];
  return spoken.sort((a, b) => b.at - a.at).map(({at, text}) => `${absolute(at)}: ${text}`);
}
