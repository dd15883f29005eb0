/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Every status has its own shape, so that none depends on its colour.

import {svg} from './dom.js';

const shapes = {
  OK: [['circle', {class: 'solid', cx: 8, cy: 8, r: 7}], ['path', {class: 'glyph', d: 'M4.8 8.3 7 10.6l4.2-4.9'}]],
  UPDATE: [['rect', {class: 'solid', x: 1.25, y: 1.25, width: 13.5, height: 13.5, rx: 3.5}],
           ['path', {class: 'glyph', d: 'M8 11.6V4.9M5 7.7l3-3 3 3'}]],
  WARNING: [['path', {class: 'solid round', d: 'M8 2 14.6 13.6H1.4z'}], ['path', {class: 'glyph', d: 'M8 6.2v3.4M8 11.9v.1'}]],
  FAILURE: [['path', {class: 'solid', d: 'M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z'}],
            ['path', {class: 'glyph', d: 'm5.4 5.4 5.2 5.2m0-5.2-5.2 5.2'}]],
  none: [['circle', {class: 'line dashed', cx: 8, cy: 8, r: 6}]],
  error: [['rect', {class: 'line', x: 1, y: 2.5, width: 14, height: 11, rx: 2.5}],
          ['path', {class: 'line', d: 'M4 5.8 6.2 8 4 10.2M8.8 6.4 12 9.6m0-3.2L8.8 9.6'}]],
  gap: [['path', {class: 'line', d: 'M1.5 8h3m7 0h3M6.5 4.5v7m3-7v7'}]],
  online: [['circle', {class: 'solid', cx: 8, cy: 8, r: 4.5}]],
  offline: [['circle', {class: 'line', cx: 8, cy: 8, r: 6.5}], ['path', {class: 'line', d: 'm3.5 12.5 9-9'}]],
  rebooting: [['path', {class: 'line', d: 'M13.5 8A5.5 5.5 0 1 1 11.600 3.900M13.500 1.500v3.200h-3.200'}]],
  stale: [['circle', {class: 'line', cx: 8, cy: 8, r: 6.5}], ['path', {class: 'line', d: 'M8 4.2V8l2.600 1.800'}]],
  pending: [['circle', {class: 'line dotted', cx: 8, cy: 8, r: 5.5}]],
  system: [['circle', {class: 'line', cx: 8, cy: 8, r: 6}], ['path', {class: 'solid', d: 'M8 2a6 6 0 0 1 0 12z'}]],
  light: [['circle', {class: 'line', cx: 8, cy: 8, r: 3}],
          ['path', {class: 'line', d: 'M8 1v1.5M8 13.500V15M1 8h1.500M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1'}]],
  dark: [['path', {class: 'line', d: 'M13.5 9.800A6 6 0 1 1 6.2 2.500a4.8 4.8 0 0 0 7.3 7.300z'}]],
  search: [['circle', {class: 'line', cx: 7, cy: 7, r: 4.8}], ['path', {class: 'line', d: 'm10.6 10.6 3.6 3.6'}]],
  person: [['circle', {class: 'line', cx: 8, cy: 5.2, r: 2.9}], ['path', {class: 'line', d: 'M2.5 14a5.5 5.5 0 0 1 11 0'}]],
};

export function icon(name) {
  return svg('svg', {class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true', data: {icon: name}},
             shapes[name].map(([tag, props]) => svg(tag, props)));
}
