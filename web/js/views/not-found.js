/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The page for an address that has none.

import {notFound} from '../parts/notice.js';

export function notFoundView() {
  return {el: notFound('There is no such page', 'The address may be mistyped.'), title: () => 'Not found'};
}
