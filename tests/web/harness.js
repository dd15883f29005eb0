/* SPDX-License-Identifier: LGPL-2.1-or-later */
// What the test files share: a browser profile that is logged in, steps that build on one another, looks at the pages.

import assert from 'node:assert/strict';
import {mkdirSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {test} from 'node:test';
import {fileURLToPath} from 'node:url';
import {launch, openProfile} from './browser.js';
import {startFleet} from './fleet.js';
import {Host} from './host.js';

export const results = fileURLToPath(new URL('./results', import.meta.url));
export const password = 'correct horse battery staple';
const source = (name) => readFileSync(createRequire(import.meta.url).resolve(name), 'utf8');
const axe = source('axe-core/axe.min.js');
const jsqr = source('jsqr/dist/jsQR.js');

export const SIZES = {desk: {width: 1280, height: 900}, phone: {width: 360, height: 760}};

export const live = (page) => page.waitForSelector('#link[data-state="live"]');

// One account in one browser profile.
export class Suite {
  host = new Host();
  email;
  #failed = null;

  constructor(name) {
    this.email = `${name}-${process.pid}-${Date.now()}@example.org`;
  }

  async begin(options) {
    mkdirSync(results, {recursive: true});
    this.browser = await launch();
    this.profile = await openProfile(this.browser, {viewport: SIZES.desk, colorScheme: 'light', ...options});
    this.page = await this.profile.newPage();
  }

  async end() {
    await this.fleet?.stop();
    await this.browser?.close();
  }

  // mail: returns the text of the mail that asks to confirm the address, where the backend sends one.
  async signUp(mail) {
    await this.page.goto(`${this.host.url}/signup`);
    await this.page.fill('#email', this.email);
    await this.page.fill('#password', password);
    await this.page.click('main button[type="submit"]');
    if (mail) {
      await this.page.waitForSelector('text=A mail is on its way');
      await this.page.goto(/https:\S+verify-email\S+/.exec(await mail())[0]);
      await this.page.waitForSelector('text=The address is confirmed');
      await this.page.goto(`${this.host.url}/login`);
      await this.page.fill('#email', this.email);
      await this.page.fill('#password', password);
      await this.page.click('main button[type="submit"]');
    }
    await this.page.waitForSelector('text=No servers yet');
  }

  async startFleet() {
    this.fleet = await startFleet(this.email, password);
  }

  // Each step ends with a look at the console. After one that failed the others would only wait in vain.
  step(name, f, options = {}) {
    // A net for what hangs, wide enough for a busy machine, as are those of what it waits for.
    test(name, {timeout: 180000, ...options}, async (t) => {
      if (this.#failed) return t.skip(`after: ${this.#failed}`);
      this.#failed = name;
      try {
        await f(t);
        assert.deepEqual(this.profile.complaints, [], 'the console is quiet');
      } catch (e) {
        await this.#describe(t);
        throw e;
      }
      this.#failed = null;
    });
  }

  async #describe(t) {
    for (const page of this.profile.pages()) {
      const state = await page.getAttribute('#link', 'data-state', {timeout: 1000}).catch(() => '?');
      const words = await page.innerText('main', {timeout: 1000}).catch(() => '?');
      t.diagnostic(`${page.url()} (${state}): ${words.slice(0, 300).replace(/\s+/g, ' ')}`);
    }
    for (const complaint of this.profile.complaints) t.diagnostic(complaint);
    await this.page.screenshot({path: `${results}/failed-${this.email.split('-')[0]}.png`}).catch(() => {});
  }
}

// The page in both sizes and themes: nothing sticks out, axe-core finds nothing, and a picture is left of it. And the
// Tab key alone leads to everything.
export async function inspect(page, name) {
  assert.deepEqual(await unreached(page), [], `${name} with the keyboard`);
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({colorScheme, reducedMotion: 'reduce'});
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is too wide at ${size}`);
      // All rules once per size; of the theme only colours depend.
      const rules = colorScheme === 'light' ? null : ['color-contrast', 'link-in-text-block'];
      assert.deepEqual(await violations(page, rules), [], `${name}, ${size}, ${colorScheme}`);
      await page.screenshot({path: `${results}/${name}-${size}-${colorScheme}.png`});
    }
  }
  await page.setViewportSize(SIZES.desk);
  await page.emulateMedia({colorScheme: 'light', reducedMotion: null});
}

// What can be pressed or filled in but is not reached with the Tab key, or does not show that it is.
async function unreached(page) {
  const n = await page.evaluate(() => {
    // Of several, the one that lies over the others has the focus.
    const within = document.activeElement.closest('dialog[open]') ?? document.querySelector('dialog[open]') ?? document;
    const controls = [...within.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
      .filter((el) => !el.disabled && el.checkVisibility({visibilityProperty: true, opacityProperty: true}));
    const seen = new Map(controls.map((el) => [el, false]));

    window.notReached = () => {
      removeEventListener('focusin', look);
      return [...seen].filter(([, well]) => !well).map(([el]) => el.outerHTML.slice(0, 120));
    };
    const look = ({target}) => {
      const {outlineStyle, outlineWidth} = getComputedStyle(target);
      if (seen.has(target)) seen.set(target, target.matches(':focus-visible') && outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1);
    };
    addEventListener('focusin', look);
    if (within === document) { // from the top
      document.body.tabIndex = -1;
      document.body.focus();
      document.body.removeAttribute('tabindex');
    }
    // The parts of a time and of a date are stops of their own.
    return controls.length + 4 * within.querySelectorAll('input[type="time"], input[type="date"]').length + 3;
  });

  for (let i = 0; i < n; i++) await page.keyboard.press('Tab');
  const missed = await page.evaluate(() => window.notReached());
  await page.evaluate(() => {
    if (!document.querySelector('dialog[open]')) document.activeElement?.blur();
    scrollTo(0, 0);
  });
  return missed;
}

export async function violations(page, rules = null) {
  if (!await page.evaluate(() => Boolean(window.axe))) await page.evaluate(axe);
  return page.evaluate(async (only) => {
    const {violations: found} = await window.axe.run(document, {resultTypes: ['violations'], ...(only && {runOnly: only})});
    return found.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(' | ')}`);
  }, rules);
}

// Waits until f, which may be asynchronous, gives what is true in the page. (page.waitForFunction() takes any promise for
// true.)
export async function until(page, f, argument) {
  for (const end = Date.now() + 45000; Date.now() < end; await page.waitForTimeout(25)) if (await page.evaluate(f, argument)) return;
  assert.fail(`it did not come true: ${f}`);
}

// What a reader sees in the QR code that is shown.
export async function readQr(page) {
  await page.waitForSelector('img.qr:visible');
  await page.evaluate(jsqr);
  return page.evaluate(async () => {
    const image = document.querySelector('img.qr');
    const canvas = new OffscreenCanvas(400, 400);
    const context = canvas.getContext('2d');
    await image.decode();
    context.drawImage(image, 0, 0, 400, 400);
    return window.jsQR(context.getImageData(0, 0, 400, 400).data, 400, 400)?.data;
  });
}

// Walks with the Tab key until matches() holds in the page for the focused element.
export async function tabTo(page, matches, argument, most = 60) {
  for (let i = 0; i < most; i++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(matches, argument)) return;
  }
  assert.fail(`not reached with the Tab key: ${matches}`);
}

export async function journalIsClean(host) {
  if (!host.name) return;
  await host.exec(['journalctl', '--sync']);
  const units = ['ssid', 'ssi-uplinkd', 'ssi-serverd'].flatMap((unit) => ['-u', unit]);
  assert.equal(await host.exec(['journalctl', '-q', '-p', 'err', '-o', 'cat', ...units]), '');
  const all = await host.exec(['journalctl', '-q', '-o', 'cat', '--all', ...units]);
  assert.doesNotMatch(all, /(Address|Leak|UndefinedBehavior)Sanitizer|: runtime error: /);
}
