import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { Spool } from './spool.ts'

const folder = mkdtempSync(join(tmpdir(), 'backhaul-spool-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const MAX_BYTES = 2_000
/** Of a message on disk. */
const HEADER_BYTES = 12

test('it gives back what it took, first in first out, within its bound', () => {
  const action = fc.oneof(fc.nat({ max: 300 }), fc.constant('take' as const))
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const spool = new Spool(join(folder, 'property'), MAX_BYTES)
      const expected: number[] = []
      actions.forEach((act, at) => {
        const isRefused = act !== 'take' && spool.usedBytes + act + HEADER_BYTES > MAX_BYTES
        const bytes = new Uint8Array(act === 'take' ? 0 : act).fill(Number(act) % 256)
        const found =
          act === 'take'
            ? [...(spool.take()?.bytes ?? [])]
            : spool.append({ bytes, receivedAtMs: at })
        const length = act === 'take' ? (expected.shift() ?? 0) : 0
        const wanted = act === 'take' ? Array(length).fill(length % 256) : !isRefused
        expect(found).toEqual(wanted)
        if (act !== 'take' && !isRefused) expected.push(act)
        expect(spool.messages).toBe(expected.length)
        expect(spool.usedBytes).toBeLessThanOrEqual(MAX_BYTES)
      })
      spool.close()
    }),
  )
})

test('room that was read comes back while messages are still in it, and files go', () => {
  const own = join(folder, 'room')
  const spool = new Spool(own, MAX_BYTES)
  const message = { bytes: new Uint8Array(100), receivedAtMs: 7 }
  while (spool.append(message));
  const held = spool.messages
  for (let taken = 0; taken < held / 2; taken += 1) expect(spool.take()?.receivedAtMs).toBe(7)
  expect(spool.append(message)).toBe(true)
  spool.clear()
  expect([spool.messages, spool.usedBytes, readdirSync(own)]).toEqual([0, 0, []])
  spool.close()
  expect(existsSync(own)).toBe(false)
})

test('what an earlier process left is not read', () => {
  const own = join(folder, 'left')
  const before = new Spool(own, MAX_BYTES)
  before.append({ bytes: new Uint8Array(10), receivedAtMs: 1 })
  writeFileSync(join(own, 'other'), 'x')
  const spool = new Spool(own, MAX_BYTES)
  expect([spool.take(), existsSync(own)]).toEqual([undefined, false])
})
