import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runFuzz } from './run.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-fuzz-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const fuzz = (target: string) =>
  runFuzz({
    target,
    targets: new URL('testing/broken-targets.ts', import.meta.url),
    seconds: target === 'sound' ? 0.2 : 600,
    seed: 7,
    folder,
    // The others have all the time that a slow machine takes.
    ...(target === 'hang' && { hangMs: 3_000 }),
  })

test('a sound target is judged for its time, and nothing is kept', async () => {
  const { broken, inputs, verdicts } = await fuzz('sound')
  expect([broken, verdicts]).toEqual([undefined, 2])
  expect(inputs).toBeGreaterThan(1)
  expect(existsSync(join(folder, 'sound'))).toBe(false)
})

test.each([
  ['crash', 'nobody expected this'],
  ['hang', 'not judged within 3000 ms'],
  ['memory', 'memory limit'],
])('an input that ends in a %s is kept, and is the first of the next run', async (target, why) => {
  const first = await fuzz(target)
  expect(first.broken).toContain(why)
  expect(readFileSync(first.keptAt ?? '')).toContain('x'.charCodeAt(0))
  const again = await fuzz(target)
  expect([again.inputs, again.regressions, again.keptAt]).toEqual([1, 1, first.keptAt])
})
