/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Points in time, shown relative to now and updated every second.

import {h, setAttribute, setText} from './dom.js';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const DAY_MS = DAY * 1000;

let skew = 0; // the server's clock minus this machine's, in ms

export function learnServerTime(date) {
  const difference = Date.parse(date) - Date.now();

  // The header has whole seconds, and the answer took time to arrive: a smaller difference is noise.
  if (Number.isFinite(difference)) skew = Math.abs(difference) > 2000 ? difference : 0;
}

export function now() {
  return Date.now() + skew;
}

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));

  if (s < MINUTE) return `${s} s`;
  if (s < HOUR) return `${Math.floor(s / MINUTE)} min`;
  if (s < DAY) {
    const minutes = Math.floor((s % HOUR) / MINUTE);
    return s < 6 * HOUR && minutes ? `${Math.floor(s / HOUR)} h ${minutes} min` : `${Math.floor(s / HOUR)} h`;
  }
  return Math.floor(s / DAY) === 1 ? '1 day' : `${Math.floor(s / DAY)} days`;
}

export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
  return span(ms / 1000);
}

// style: 'ago' for past events, 'since' for states that last, 'due' for planned events.
export function relative(at, style, from = now()) {
  const seconds = (from - at) / 1000;

  if (style === 'since') return `for ${span(seconds < 10 ? seconds : coarse(seconds))}`;
  if (style === 'due') {
    if (seconds < 0) return `in ${span(Math.max(1, -seconds))}`;
    return seconds < 30 ? 'now' : `due ${span(coarse(seconds))} ago`;
  }
  if (seconds < 10) return seconds > -10 ? 'just now' : `in ${span(-seconds)}`;
  return `${span(coarse(seconds))} ago`;
}

// Counting seconds are distracting: below a minute, past times change in steps of ten.
function coarse(seconds) {
  return seconds < MINUTE ? Math.floor(seconds / 10) * 10 : seconds;
}

// How points in time are written. zone null: that of the browser.
let format = null;

setTimeFormat({});

// An account's settings, or {}: an ISO date, 24 hours. Returns whether this changes anything.
export function setTimeFormat({time_zone: zone = null, language = 'en', clock: hours = 24}) {
  const key = JSON.stringify([zone, language, hours]);

  if (format?.key === key) return false;
  try {
    format = makeFormat(key, zone ?? undefined, language, hours);
  } catch {
    format = makeFormat(key, undefined, 'en', hours); // a zone that this browser does not know
  }
  return true;
}

function makeFormat(key, timeZone, language, hours) {
  const parts = {timeZone, year: 'numeric', month: '2-digit', day: '2-digit'};
  const iso = language === 'en';

  return {
    key, iso,
    date: new Intl.DateTimeFormat(language, parts),
    time: new Intl.DateTimeFormat(language, {timeZone, hour: hours === 12 ? 'numeric' : '2-digit', minute: '2-digit', second: '2-digit',
                                             hourCycle: hours === 12 ? 'h12' : 'h23'}),
    day: new Intl.DateTimeFormat(language, {timeZone, weekday: 'short', day: 'numeric'}),
    wall: new Intl.DateTimeFormat('en', {...parts, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'}),
  };
}

function partsOf(formatter, at) {
  return Object.fromEntries(formatter.formatToParts(at).map(({type, value}) => [type, value]));
}

export function clock(at) {
  return format.time.format(at);
}

export function absolute(at) {
  if (!format.iso) return `${format.date.format(at)} ${clock(at)}`;
  const {year, month, day} = partsOf(format.date, at);
  return `${year}-${month}-${day} ${clock(at)}`;
}

// "Mon 30"
export function dayName(at) {
  return format.day.format(at);
}

// What a clock on the wall of the zone shows, as if it were in UTC.
function wall(at) {
  const p = partsOf(format.wall, at);
  return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second);
}

// The begin of the day in which this time is. Where clocks go forward at midnight, it begins an hour later.
export function midnight(at) {
  const day = Math.floor(wall(at) / DAY_MS) * DAY_MS;
  let start = day - (wall(at) - Math.floor(at / 1000) * 1000);

  start = day - (wall(start) - start); // the clock may have been changed since
  return wall(start) < day ? start + HOUR * 1000 : start;
}

// A <time> that shows the time that set(iso) gives it (`missing` for null) and keeps it current: {el, set(iso)}.
export function timeElement(style, missing = '–') {
  const el = h('time', {class: style === 'at' ? 'at' : 'ticking', data: {style, missing}});

  return {el, set: (iso) => setTime(el, iso)};
}

function setTime(el, iso) {
  setAttribute(el, 'datetime', iso);
  setAttribute(el, 'title', iso ? `${absolute(Date.parse(iso))} (${iso})` : null);
  tick(el);
}

function tick(el) {
  const at = Date.parse(el.dateTime);

  if (Number.isNaN(at)) setText(el, el.dataset.missing);
  else setText(el, el.dataset.style === 'at' ? absolute(at) : relative(at, el.dataset.style));
}

// The same for a time that is set once: the element.
export function time(iso, missing = '–', style = 'ago') {
  const t = timeElement(style, missing);
  t.set(iso);
  return t.el;
}

export function startTicking() {
  const ticking = document.getElementsByClassName('ticking');

  setInterval(() => {
    if (document.hidden) return;
    for (const el of ticking) tick(el);
  }, 1000);
}
