/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Puts the parts together: session -> stream -> store -> the view for the address.

import {Router, safeNext} from './base/router.js';
import {startTicking} from './base/time.js';
import {Api} from './data/api.js';
import {Session} from './data/session.js';
import {Store} from './data/store.js';
import {Stream} from './data/stream.js';
import {forgetTimes, recallTimes, takeTimes} from './data/times.js';
import {accountView} from './views/account.js';
import {adminAccountsView} from './views/admin-accounts.js';
import {adminAuditView} from './views/admin-audit.js';
import {adminSignUpView} from './views/admin-sign-up.js';
import {adminOverviewView} from './views/admin-overview.js';
import {adminAnnouncementsView} from './views/admin-announcements.js';
import {logInView, signUpView} from './views/auth.js';
import {deviceView} from './views/device.js';
import {notFoundView} from './views/not-found.js';
import {notificationsView} from './views/notifications.js';
import {overviewView} from './views/overview.js';
import {publicView} from './views/public.js';
import {confirmAddressView, forgottenView, resetView, verifyView} from './views/recover.js';
import {registerView} from './views/register.js';
import {serverView} from './views/server.js';
import {serviceView} from './views/service.js';
import {silencesView} from './views/silences.js';
import {joinView, teamView} from './views/team.js';
import {teamsView} from './views/teams.js';
import {Announcer, LinkState, setUpAccount, setUpTheme, showAccount, showAdministration, showAnnouncements, showPlace} from './chrome.js';

const ANNOUNCEMENTS_MS = 60000;
const FIRST_READ_MS = 1500; // the stream should be open first; without it, the lists are read anyway

const main = document.getElementById('main');
const session = new Session();
const api = new Api(session);
const store = new Store(api);
const announcer = new Announcer();
const stream = new Stream(api, onEvent, (s) => linkState.show(s));
const linkState = new LinkState(announcer, store, () => stream.retry());
const router = new Router(show);
const app = {api, session, store, router, announcer, redraw: draw, readAccount, showAnnouncements: readAnnouncements};

let view = null;
let frame = 0; // the requested frame
let fallback = 0;
let firstRead = 0;

router
  .add('/login', {view: logInView, open: true})
  .add('/signup', {view: signUpView, open: true})
  .add('/forgotten', {view: forgottenView, open: true})
  .add('/reset-password', {view: resetView, either: true})
  .add('/verify-email', {view: verifyView, either: true})
  .add('/confirm-address', {view: confirmAddressView, either: true})
  .add('/device', {view: deviceView, either: true})
  .add('/status/:token', {view: publicView, either: true})
  .add('/join', {view: joinView, either: true})
  .add('/', {view: overviewView})
  .add('/account', {view: accountView})
  .add('/admin', {view: adminOverviewView})
  .add('/admin/accounts', {view: adminAccountsView})
  .add('/admin/audit', {view: adminAuditView})
  .add('/admin/sign-up', {view: adminSignUpView})
  .add('/admin/announcements', {view: adminAnnouncementsView})
  .add('/notifications', {view: notificationsView})
  .add('/silences', {view: silencesView})
  .add('/teams', {view: teamsView})
  .add('/teams/:id', {view: teamView})
  .add('/servers/new', {view: registerView})
  .add('/servers/:id', {view: serverView})
  .add('/servers/:id/services/:name', {view: serviceView})
  .add('*', {view: notFoundView});

function onEvent(event, data) {
  if (event === 'ready') {
    clearTimeout(firstRead);
    store.sync();
    readAccount();
    learnWhoThisIs();
    readAnnouncements();
  } else if (event === 'sessions') {
    readAccount();
  } else {
    store.apply(event, data);
  }
  view?.heard?.(event);
}

// Its settings may have been changed on another device.
async function readAccount() {
  const account = await api.account.show().catch(() => null);

  if (!account || !session.signedIn) return;
  if (takeTimes(account)) router.reload();
  session.rename(account.email);
}

// A view is {el, title, update?(), destroy?(), heard?(event)}; title is a function of what is known.
function show(route, params, {path, restored}) {
  // open: only while logged out; either: always; otherwise only while logged in.
  if (!route.open && !route.either && !session.signedIn) return router.go(loginPath(), {replace: true});
  if (route.open && session.signedIn) return router.go(safeNext(location.search), {replace: true});

  const first = view === null;
  view?.destroy?.();
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  store.watch(null);
  view = route.view(app, params);
  main.replaceChildren(view.el);
  showPlace(path);
  draw();
  if (!restored) scrollTo(0, 0);
  // Focus the heading of a new page, which a screen reader then reads, or the first field of its form.
  if (!first) (main.querySelector('[autofocus]') ?? main.querySelector('h1') ?? main).focus({preventScroll: true});
  else main.querySelector('[autofocus]')?.focus();
}

function loginPath() {
  const here = location.pathname + location.search;
  return here === '/' || here.startsWith('/login') || here.startsWith('/signup')
    ? '/login' : `/login?next=${encodeURIComponent(here)}`;
}

function draw() {
  cancelAnimationFrame(frame);
  clearTimeout(fallback);
  frame = 0;
  if (!view) return;
  view.update?.();
  const title = view.title();
  document.title = title ? `${title} – SSI` : 'Service Status Indicator';
}

// Many events cause one draw. A covered page gets few frames or none, but its title is kept up to date.
function drawSoon() {
  if (frame) return;
  frame = requestAnimationFrame(draw);
  fallback = setTimeout(draw, 100);
}

// The menu has what this account may do.
function learnWhoThisIs() {
  const {email} = session;
  api.account.me().then((me) => email === session.email && showAdministration(me.administrator), () => {});
}

function readAnnouncements() {
  const {email} = session;
  api.announcements().then((list) => email === session.email && showAnnouncements(list, announcer), () => {});
}

function begin() {
  store.open(session.email);
  stream.start();
  firstRead = setTimeout(() => {
    store.sync();
    learnWhoThisIs();
    readAnnouncements();
  }, FIRST_READ_MS);
}

// Also called when another tab logs in or out.
function onSession() {
  showAccount(session);
  showAdministration(false);
  showAnnouncements([], announcer);
  stream.stop();
  clearTimeout(firstRead);
  store.clear();
  if (session.signedIn) begin();
  else forgetTimes();
  router.reload();
}

recallTimes();
setUpTheme();
setUpAccount(session);
startTicking();
setInterval(() => session.signedIn && !document.hidden && readAnnouncements(), ANNOUNCEMENTS_MS);
session.addEventListener('change', onSession);
store.addEventListener('change', drawSoon);
store.addEventListener('turn', (e) => announcer.turn(e.detail));

showAccount(session);
if (session.signedIn) begin();
router.start();
navigator.serviceWorker?.register('/sw.js').catch(() => {}); // without it, only the offline page is missing
