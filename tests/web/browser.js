/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Chromium as Debian has it, and pages that remember what went wrong in them.

import {chromium} from 'playwright-core';

const OPTIONS = {
  executablePath: process.env.SSI_CHROMIUM ?? '/usr/bin/chromium',
  args: [...(process.getuid() === 0 ? ['--no-sandbox'] : []), '--disable-quic', '--disable-background-networking',
         '--no-first-run', '--disable-component-update', '--disable-sync',
         '--ignore-certificate-errors' /* a worker asks for a certificate that is sound, whatever the page was allowed */],
};

// One that all test files share, when run.js has started it.
export function launch() {
  const {SSI_BROWSER: shared} = process.env;
  return shared ? chromium.connect(shared) : chromium.launch(OPTIONS);
}

export function serve() {
  return chromium.launchServer(OPTIONS);
}

// A page of its own browser profile. page.complaints collects what the console shows as error or warning, uncaught
// exceptions and refused content; page.expectComplaint(regex) takes out what the test provoked.
export async function openProfile(browser, options = {}) {
  const context = await browser.newContext({ignoreHTTPSErrors: true, ...options});

  context.setDefaultTimeout(45000);
  context.complaints = [];
  context.on('page', (page) => {
    page.on('console', (m) => {
      // Chromium drops what it has under way when any interface of the machine comes or goes; pages have to get over it.
      if (/ERR_NETWORK_CHANGED/.test(m.text())) return;
      if (m.type() === 'error' || m.type() === 'warning') context.complaints.push(`${m.type()}: ${m.text()} (${m.location().url})`);
    });
    page.on('pageerror', (e) => context.complaints.push(`uncaught: ${e.stack ?? e}`));
    page.on('dialog', (d) => {
      context.complaints.push(`dialog: ${d.message()}`);
      d.dismiss();
    });
  });
  context.expectComplaint = (regex) => {
    context.complaints = context.complaints.filter((c) => !regex.test(c));
  };
  return context;
}
