/* SPDX-License-Identifier: LGPL-2.1-or-later */
// How the account wants to read times. It is kept in this browser, so that a page is right from its first moment, also offline.

import {setTimeFormat} from '../base/time.js';

const KEY = 'ssi.times'; // in localStorage: {time_zone, language, clock}

function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

export function recallTimes() {
  setTimeFormat(stored());
}

export function forgetTimes() {
  localStorage.removeItem(KEY);
  setTimeFormat({});
}

// account: as read from the server. Returns whether times now look different here: another tab may have stored the same already.
export function takeTimes({time_zone, language, clock}) {
  const times = {time_zone, language, clock};

  try {
    localStorage.setItem(KEY, JSON.stringify(times));
  } catch {
    // Storage is full: it is read again at the next visit.
  }
  return setTimeFormat(times);
}
