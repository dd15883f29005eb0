/* SPDX-License-Identifier: LGPL-2.1-or-later */
// fleet.py: servers and services by the hundred, which report what they are told to.

import {Helper} from './helper.js';

const plain = process.env.SSI_FLEET_URL ?? 'http://127.0.0.1:8080';

export async function startFleet(email, password) {
  const response = await fetch(`${plain}/api/v1/users/login`, {
    method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({email, password})});
  return new Helper('fleet.py', [plain, (await response.json()).access_token]);
}
