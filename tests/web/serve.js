/* SPDX-License-Identifier: LGPL-2.1-or-later */
// A browser for the test files of a lane (see run.js): prints where it is, and ends with its standard input.

import {serve} from './browser.js';

const browser = await serve();

console.log(browser.wsEndpoint());
for await (const line of process.stdin) void line;
await browser.close();
