// `node --test`, which also writes JUnit's XML when $SSI_JUNIT names a file. Arguments are test files.

import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const args = ['--test', '--test-reporter=spec', '--test-reporter-destination=stdout'];

if (process.env.SSI_JUNIT)
  args.push(`--test-reporter=${here}junit.js`, `--test-reporter-destination=${process.env.SSI_JUNIT}`);
const {status, signal} = spawnSync(process.execPath, [...args, ...process.argv.slice(2)], {cwd: here, stdio: 'inherit'});
process.exit(signal ? 1 : status);
