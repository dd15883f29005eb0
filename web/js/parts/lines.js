/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Lines about one service, on its own page and in the table of its server.

import {foreign, h, setAttribute, setHidden, setText} from '../base/dom.js';
import {icon} from '../base/icons.js';
import {servicePath} from '../base/router.js';
import {errorWords} from '../base/status.js';
import {timeElement} from '../base/time.js';

// An execution error: {el, set(error)}.
export function errorLine() {
  const text = h('bdi', {dir: 'auto'});
  const at = timeElement('ago');
  const el = h('p', {class: 'exec-error'}, icon('error'), h('strong', {}, 'Execution error'), ' ', text, ' · ', at.el);

  return {
    el,
    set(error) {
      setHidden(el, !error);
      if (!error) return;
      setText(text, error.detail || errorWords(error.kind));
      at.set(error.at);
    },
  };
}

// An overdue result: {el, set(since)}.
export function lateLine() {
  const at = timeElement('since', '');
  const el = h('p', {class: 'late-line'}, icon('stale'), h('strong', {}, 'Overdue'), ' ', at.el);

  return {
    el,
    set(since) {
      setHidden(el, !since);
      at.set(since);
    },
  };
}

// The root cause of the service's trouble, as a link when the server is given: {el, set(cause)}.
export function causeLine(serverId = null) {
  const name = foreign(serverId ? 'a' : 'bdi');
  const el = h('p', {class: 'cause-line', hidden: true}, 'Probably because of ', name);

  return {
    el,
    set(cause) {
      setHidden(el, !cause);
      if (!cause) return;
      if (serverId) setAttribute(name, 'href', servicePath(serverId, cause.name));
      setText(name, cause.title || cause.name);
    },
  };
}
