import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { logErrors } from '../../shared/log/log-errors.ts'
import { objectErrors } from '../../shared/objects/object-errors.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import type { BackhaulError } from '../../shared/runtime/errors.ts'
import { batchErrors } from '../errors.ts'
import { type Command, EXIT } from './command.ts'
import { runCommandLine } from './command-line.ts'
import { cliErrors } from './errors.ts'
import { silentProgress } from './progress.ts'

/** The exit code of a command that fails with the error. */
function exitCodeOf(error: BackhaulError, signal = new AbortController().signal): Promise<number> {
  const failing: Command = {
    name: 'fail',
    summary: 'fails',
    about: '',
    examples: [],
    options: {},
    positionals: [],
    run: () => Promise.reject(error),
  }
  return runCommandLine(['fail'], {
    commands: [failing],
    environment: {},
    readFile: () => '',
    clock: new ManualClock(),
    progress: silentProgress,
    signal,
    output: () => undefined,
    errors: () => undefined,
  })
}

test('what passes by itself is told from what somebody must mend', async () => {
  expect(await exitCodeOf(logErrors.create('LOG_UNAVAILABLE'))).toBe(75)
  expect(await exitCodeOf(objectErrors.create('OBJECT_UNAVAILABLE'))).toBe(75)
  expect(await exitCodeOf(batchErrors.create('BATCH_DISK_FULL'))).toBe(75)
  expect(await exitCodeOf(objectErrors.create('LEASE_HELD'))).toBe(3)
  expect(await exitCodeOf(objectErrors.create('OBJECT_BUCKET_MISSING'))).toBe(1)
  expect(await exitCodeOf(batchErrors.create('BATCH_TOPIC_RECREATED'))).toBe(1)
  expect(await exitCodeOf(cliErrors.create('CLI_NO_RUN'))).toBe(1)
})

test('a command that was ended says so, whatever it failed with', async () => {
  const error = objectErrors.create('LEASE_LOST')
  expect(await exitCodeOf(error, AbortSignal.abort())).toBe(130)
})

test('docs/cli.md says what each of them means, and of no other', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'cli.md'), 'utf8')
  const documented = [...page.matchAll(/^\| (\d+) +\| \S/gm)].map(([, code]) => Number(code))
  expect(documented).toEqual(Object.values(EXIT))
})
