/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The parser of server-sent events (WHATWG HTML, 9.2.6). EventSource itself cannot send an Authorization header.

export class SseParser {
  #rest = '';
  #sawCr = false;
  #event = '';
  #data = [];

  // Takes decoded text in pieces, cut anywhere; returns the events that it completes, as {event, data}.
  push(text) {
    const events = [];
    let s = text;

    // A CR has already ended the last line; an LF at the start of this piece belongs to it.
    if (this.#sawCr && s !== '') {
      if (s[0] === '\n') s = s.slice(1);
      this.#sawCr = false;
    }
    const whole = this.#rest + s;
    const ends = /\r\n|\n|\r/g;
    let start = 0;

    ends.lastIndex = this.#rest.length;
    for (let end; (end = ends.exec(whole)); start = ends.lastIndex) {
      this.#line(whole.slice(start, end.index), events);
      if (end[0] === '\r' && ends.lastIndex === whole.length) this.#sawCr = true;
    }
    this.#rest = whole.slice(start);
    return events;
  }

  #line(line, events) {
    if (line === '') {
      if (this.#data.length) events.push({event: this.#event || 'message', data: this.#data.join('\n')});
      this.#event = '';
      this.#data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
  }
}
