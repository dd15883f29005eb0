/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Which part of a list is shown: words to search for, a label, a team, one kind of trouble. It is kept in the address, so that
// reloading, going back and sharing the link show the same.

const MARKS = /\p{M}/gu;
const haystacks = new WeakMap(); // by server or service

function fold(text) {
  return text.normalize('NFKD').replace(MARKS, '').toLowerCase();
}

export class Filter {
  q = '';
  label = '';
  team = ''; // its id
  show = ''; // a status, 'errors' or a state of the connection
  #words = [];
  #textOf;
  #parts;

  // textOf(item) is searched for the words. has(item, show) returns whether an item is of that kind.
  constructor(textOf, has) {
    const address = new URLSearchParams(location.search);

    this.#textOf = textOf;
    this.#parts = has;
    this.set({q: address.get('q') ?? '', label: address.get('label') ?? '', team: address.get('team') ?? '', show: address.get('show') ?? ''});
  }

  get active() {
    return Boolean(this.q || this.label || this.team || this.show);
  }

  set(parts) {
    Object.assign(this, parts);
    this.#words = fold(this.q).split(/\s+/).filter(Boolean);
  }

  // Applies them and puts them into the address.
  change(parts) {
    const address = new URLSearchParams();

    this.set(parts);
    for (const key of ['q', 'label', 'team', 'show']) if (this[key]) address.set(key, this[key]);
    history.replaceState(history.state, '', location.pathname + (this.active ? `?${address}` : ''));
  }

  takes(item) {
    return (!this.show || this.#parts(item, this.show)) && (!this.label || Boolean(item.labels?.includes(this.label))) &&
           (!this.team || item.team?.id === this.team) &&
           this.#words.every((word) => this.#haystack(item).includes(word));
  }

  #haystack(item) {
    let text = haystacks.get(item);

    if (text === undefined) {
      text = fold(this.#textOf(item));
      haystacks.set(item, text);
    }
    return text;
  }
}
