// SPDX-License-Identifier: LGPL-2.1-or-later
// Run from the top of the repository, "npm --prefix tests/web run lint". What a reader would stumble over: names that nobody has, or nobody uses; code that cannot run; comparisons that mean another thing.
import js from '@eslint/js';
import globals from 'globals';

const rules = {
  ...js.configs.recommended.rules,
  eqeqeq: ['error', 'always', {null: 'ignore'}],
  'no-unused-vars': ['error', {args: 'after-used', caughtErrors: 'none', ignoreRestSiblings: true}],
  'no-var': 'error',
  'prefer-const': ['error', {destructuring: 'all'}],
  'no-implicit-globals': 'error',
  // `#x ||= …` uses it.
  'no-unused-private-class-members': 'off',
};

export default [
  {ignores: ['**/node_modules/**', '**/build*/**']},
  {files: ['web/js/**/*.js', 'web/theme.js'], languageOptions: {globals: globals.browser}, rules},
  {files: ['web/sw.js'], languageOptions: {sourceType: 'script', globals: globals.serviceworker}, rules: {...rules, 'no-implicit-globals': 'off'}},
  {files: ['tests/web/**/*.js'], languageOptions: {globals: {...globals.node, ...globals.browser, ...globals.serviceworker}}, rules},
];
