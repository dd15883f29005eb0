/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Notifications of this browser (Push API): subscribed with the server's key, shown by the service worker.

export function canPush() {
  return 'PushManager' in window && 'serviceWorker' in navigator && 'Notification' in window;
}

export async function subscription() {
  return (await navigator.serviceWorker.ready).pushManager.getSubscription();
}

export async function subscribe(api) {
  if (await Notification.requestPermission() !== 'granted')
    throw new Error('The browser does not allow notifications from this page. Check its settings for this site.');
  const {public_key: key} = await api.push.key();
  const {pushManager} = await navigator.serviceWorker.ready;
  const old = await pushManager.getSubscription();

  if (old) await old.unsubscribe(); // it may belong to another account or key
  const made = await pushManager.subscribe({userVisibleOnly: true, applicationServerKey: key});
  return api.push.subscribe({...made.toJSON(), public_key: key, label: browserOf(navigator.userAgent)});
}

// Ends it on this device; the push service then reports to the server that it is gone.
export async function unsubscribe() {
  if (!canPush() || !await navigator.serviceWorker.getRegistration()) return;
  await (await subscription())?.unsubscribe();
}

// "Chrome on Linux": a name by which people recognize the device.
export function browserOf(agent) {
  const text = agent ?? '';
  const name = [['Edg/', 'Edge'], ['OPR/', 'Opera'], ['Firefox/', 'Firefox'], ['Chrome/', 'Chrome'], ['Safari/', 'Safari']].find(([s]) => text.includes(s))?.[1];
  const system = [['Android', 'Android'], ['iPhone', 'iPhone'], ['iPad', 'iPad'], ['Windows', 'Windows'], ['Mac OS', 'macOS'], ['Linux', 'Linux']]
    .find(([s]) => text.includes(s))?.[1];
  return name ? `${name}${system ? ` on ${system}` : ''}` : text.slice(0, 60) || 'Unknown';
}
