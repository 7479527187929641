/** What a process tells of an error that ends it, whichever way the error comes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { defineErrors } from './errors.ts'
import { failureText } from './failure.ts'

const MODULE = join(import.meta.dirname, 'failure.ts')

/** As a library throws it: with the request, and a cause that has its own. */
const THROWN = `Object.assign(new Error('refused', { cause: Object.assign(new Error('reset'), { request }) }), { request })`

test.each([
  ['is thrown', `throw ${THROWN}`],
  ['comes after the start', `setTimeout(() => { throw ${THROWN} })`],
  ['is nobody’s rejection', `void Promise.reject(${THROWN})`],
  ['is an event without a listener', `new EventEmitter().emit('error', ${THROWN})`],
])('an error that %s ends it with its texts, and nothing that hangs on it', async (_way, code) => {
  const script = `
    import { EventEmitter } from 'node:events'
    import { runMain } from ${JSON.stringify(MODULE)}
    const request = { headers: { authorization: 'Bearer canary' } }
    await runMain(async () => { ${code} })
    setTimeout(() => undefined, 60_000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close') as Promise<[number]>
  const [told, printed, [exitCode]] = await Promise.all([
    text(child.stderr),
    text(child.stdout),
    ended,
  ])
  expect(exitCode).toBe(1)
  expect(printed).toBe('')
  expect(told).toMatch(/^Error: refused\n +at [^]*\ncaused by: Error: reset\n +at /)
  expect(told).not.toContain('canary')
})

test('an error of ours is one sentence and what to do, whatever its cause', () => {
  const { create } = defineErrors({
    DEMO_FAILED: { rule: 'a demo must work', retryable: true, action: 'Try again.' },
  })
  const error = create('DEMO_FAILED', { received: 'nothing', cause: new Error('canary') })
  expect(failureText(error)).toBe('DEMO_FAILED: a demo must work; received nothing. Try again.')
})

test('what is thrown and no error is told, unless it is an object', () => {
  expect(failureText('why')).toBe('why')
  expect(failureText({ token: 'canary' })).toBe('[object Object]')
})
