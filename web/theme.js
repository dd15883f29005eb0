/* SPDX-License-Identifier: LGPL-2.1-or-later */
// Runs before the first paint so that a chosen theme does not flash. Not a module: modules are deferred.
try {
  const theme = localStorage.getItem('ssi.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the system's preference applies.
}
