/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The search field, the choices of labels and teams, and how many items match.

import {h, setAttribute, setHidden, setText} from '../base/dom.js';
import {icon} from '../base/icons.js';
import {WORDS, plural} from '../base/status.js';

const FEW = 10; // a shorter list needs no search

// onChange() redraws.
export function filterBar(filter, [one, many], onChange) {
  const change = (parts) => {
    filter.change(parts);
    onChange();
  };
  const search = h('input', {type: 'search', 'aria-label': `Search ${many}`, placeholder: `Search ${many}`, autocomplete: 'off',
                             spellcheck: 'false', autocapitalize: 'none', enterkeyhint: 'search',
                             on: {input: () => change({q: search.value})}});
  const select = h('select', {'aria-label': 'Label', on: {change: () => change({label: select.value})}});
  const teamSelect = h('select', {'aria-label': 'Team', hidden: true, on: {change: () => change({team: teamSelect.value})}});
  const result = h('p', {class: 'filter-result', role: 'status'});
  const clear = h('button', {type: 'button', class: 'quiet', on: {click: () => {
    change({q: '', label: '', team: '', show: ''});
    search.focus();
  }}}, 'Show all');
  const el = h('form', {class: 'filter', role: 'search', hidden: true, on: {submit: (e) => e.preventDefault()}},
               h('div', {class: 'filter-field'}, icon('search'), search), select, teamSelect, result, clear);
  let known = null;
  let knownTeams = null;

  return {
    el,
    // all: how many items there are. shown: how many match. labels, teams ({id, name}): to choose from.
    update(all, shown, labels, teams = []) {
      setHidden(el, all < FEW && !filter.active && teams.length < 2);
      if (search.value !== filter.q && document.activeElement !== search) search.value = filter.q;
      const list = labels.join('\n');
      if (known !== list) {
        known = list;
        select.replaceChildren(h('option', {value: ''}, 'All labels'), ...labels.map((label) => h('option', {value: label}, label)));
      }
      const names = teams.map((t) => `${t.id} ${t.name}`).join('\n');
      if (knownTeams !== names) {
        knownTeams = names;
        teamSelect.replaceChildren(h('option', {value: ''}, 'All teams'), ...teams.map((t) => h('option', {value: t.id}, t.name)));
      }
      setHidden(teamSelect, teams.length < 2 && !filter.team);
      if (teamSelect.value !== filter.team) teamSelect.value = filter.team;
      setAttribute(teamSelect, 'data-set', filter.team ? 'yes' : null);
      setHidden(select, !labels.length);
      if (select.value !== filter.label) select.value = filter.label;
      setAttribute(select, 'data-set', filter.label ? 'yes' : null);
      setText(result, filter.active ? `${shown} of ${plural(all, one, many)}` : '');
      setHidden(clear, !filter.active);
    },
  };
}

// How many there are of each kind; pressing one shows only those. keys: [[key, {icon, word, short}]].
export function figures(keys, filter, onChange) {
  const items = new Map(keys.map(([key, look]) => [key, figure(key, look, () => {
    filter.change({show: filter.show === key ? '' : key});
    onChange();
  })]));

  return {
    el: h('ul', {class: 'figures', role: 'list'}, [...items.values()].map((f) => f.el)),
    update(sum) {
      for (const [key, f] of items) f.set(sum[key] ?? 0, filter.show === key);
    },
  };
}

function figure(key, {icon: name = key, word = WORDS[key], short}, onPress) {
  const number = h('span', {class: 'figure-number'}, '0');
  const button = h('button', {type: 'button', class: 'figure', on: {click: onPress}}, number,
                   h('span', {class: 'figure-word'}, icon(name),
                     short ? [h('span', {class: 'long'}, word), h('span', {class: 'short'}, short)] : word));
  const el = h('li', {data: {value: key}}, button);

  return {
    el,
    set(n, pressed) {
      setText(number, String(n));
      el.classList.toggle('zero', n === 0);
      setAttribute(button, 'aria-pressed', String(pressed));
      button.disabled = n === 0 && !pressed;
    },
  };
}
