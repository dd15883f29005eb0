/* SPDX-License-Identifier: LGPL-2.1-or-later */
// A reporter for `node --test`: JUnit's XML. Debian 12's Node.js has none of its own.

import {basename} from 'node:path';

const escapes = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;', '\r': '&#13;', '\t': '&#9;'};

function text(value) {
  // eslint-disable-next-line no-control-regex
  return String(value).replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd').replace(/[&<>"\n\r\t]/g, (c) => escapes[c]);
}

export default async function* junit(source) {
  const cases = [];
  const counts = {tests: 0, failures: 0, skipped: 0};

  for await (const {type, data} of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // A file is a test as well in some versions; it counts only when it failed by itself.
    if (data.details.type === 'suite' || (type === 'test:pass' && data.name.endsWith('.test.js'))) continue;
    if (type === 'test:fail' && data.details.error?.failureType === 'subtestsFailed') continue;

    let inside = '';
    counts.tests++;
    if (data.skip !== undefined) {
      counts.skipped++;
      inside = '<skipped/>';
    } else if (type === 'test:fail') {
      const error = data.details.error?.cause ?? data.details.error;
      counts.failures++;
      inside = `<failure message="${text(error?.message ?? error)}">${text(error?.stack ?? error)}</failure>`;
    }
    cases.push(`  <testcase classname="${text(basename(data.file ?? 'web'))}" name="${text(data.name)}" ` +
               `time="${((data.details.duration_ms ?? 0) / 1000).toFixed(3)}">${inside}</testcase>\n`);
  }
  yield '<?xml version="1.0" encoding="utf-8"?>\n';
  yield `<testsuite name="web" tests="${counts.tests}" failures="${counts.failures}" skipped="${counts.skipped}">\n`;
  yield* cases;
  yield '</testsuite>\n';
}
