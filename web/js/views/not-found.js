/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The page for an unknown address.

import {notFound} from '../parts/notice.js';

export function notFoundView() {
  return {el: notFound('Page not found', 'The address may be mistyped.'), title: () => 'Not found'};
}
