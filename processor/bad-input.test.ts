/**
 * Input that no gateway would write, to the processor on embedded stores: it is bounded, counted and
 * explained, and what stands beside it is what an oracle says of the log, to the integer. What takes
 * a million of something is in `millions.soak.test.ts`.
 */
import { afterEach, expect, test } from 'vitest'
import { POISON_CUT_BYTES } from './limits.ts'
import { sealer } from './testing/test-machine.ts'
import type { NewRecord } from '../shared/log/event-log.ts'
import { OracleBench, NEIGHBOUR, PARTITION } from './testing/oracle-bench.ts'

const YEARS_MS = 10 * 365 * 86_400_000
const MIB = 2 ** 20
const KEYS_MAX = 100
const FEW_KEYS = { PROCESSOR_KEYS_PER_CUT_MINUTE_MAX: `${KEYS_MAX}` }

let bench: OracleBench
afterEach(() => bench.close())

const bytesOf = (text: string) => new TextEncoder().encode(text)

test('records that cannot be read are kept with their bytes and why, whatever is wrong with them', async () => {
  bench = await OracleBench.open()
  await bench.sendNeighbours(0)
  const good = bench.frame({ sessionId: 'unread', events: [] })
  const bad: readonly [Partial<NewRecord>, string][] = [
    [{ headers: {} }, 'no schema header'],
    [{ headers: { schema: 'playback.v9' } }, 'playback.v9'],
    [{ headers: { schema: 'x'.repeat(20_000) } }, 'xxx'],
    [{ value: good.value.subarray(0, -1) }, 'JSON'],
    [{ value: new Uint8Array(0) }, 'JSON'],
    [{ value: Uint8Array.of(0xff, 0xfe, 0x00) }, 'UTF-8'],
    [{ value: bytesOf('[]') }, 'record'],
    [{ value: bytesOf('{"session":{"sessionId":"s"},"events":[]}') }, 'sentAt'],
    [{ value: bytesOf(`${'['.repeat(100_000)}`) }, 'JSON'],
    [{ key: undefined, value: bytesOf('null') }, 'record'],
  ]
  const first = await bench.append(...bad.map(([fields]) => ({ ...good, ...fields })))
  await bench.machine.pass(500)
  await bench.sendNeighbours(1)
  expect(await bench.violations()).toEqual([])
  const kept = await bench.rejects()
  expect(kept.map(({ source }) => source)).toEqual(
    bad.map((_, index) => ({ partition: PARTITION, offset: first + index })),
  )
  for (const [index, [fields, why]] of bad.entries()) {
    expect(kept[index]).toMatchObject({ code: 'PROCESSOR_RECORD_POISON', stage: 'processor' })
    expect(kept[index]?.detail).toContain(why)
    const opened = sealer.open(kept[index]?.sealed ?? new Uint8Array(0))
    expect(Buffer.from(opened).equals(fields.value ?? good.value)).toBe(true)
  }
  expect(await bench.metric('processor_poison_records_total')).toBe(bad.length)
  expect(await bench.metric('processor_fold_events', { outcome: 'poison' })).toBe(bad.length)
})

test('a frame without a key, or with another’s, is its session’s like any other', async () => {
  bench = await OracleBench.open()
  await bench.sendNeighbours(0)
  const at = bench.nowMs
  const events = [{ seq: 0, type: 'playbackStart', at }]
  await bench.append({ ...bench.frame({ sessionId: 'keyless', events }), key: undefined })
  await bench.append({ ...bench.frame({ sessionId: 'misnamed', events }), key: NEIGHBOUR })
  await bench.sendNeighbours(1)
  expect(await bench.violations()).toEqual([])
  for (const sessionId of ['keyless', 'misnamed'])
    expect(await bench.session(sessionId)).toMatchObject([
      { partition: PARTITION, parts: [{ play: 1, events: 1 }] },
    ])
})

test('records of 10 MB are read, or kept as far as the reject topic takes them', async () => {
  bench = await OracleBench.open()
  await bench.sendNeighbours(0)
  const at = bench.nowMs
  const events = Array.from({ length: 10_000 }, (_, seq) => {
    return { seq, type: 'custom', name: 'x', at, data: { text: 'y'.repeat(1_000) } }
  })
  const readable = bench.frame({ sessionId: 'large', events })
  expect(readable.value.length).toBeGreaterThan(10 * MIB)
  await bench.append(readable)
  const fits = Buffer.alloc(10 * MIB, '{')
  const firstPoison = await bench.append({ ...readable, value: fits })
  // Sealed and in base64 it is longer than the longest record.
  const tooLong = Buffer.alloc(15 * MIB, '{')
  await bench.append({ ...readable, value: tooLong })
  await bench.sendNeighbours(1)
  expect(await bench.violations()).toEqual([])
  const [whole, cut] = await bench.rejects()
  expect(sealer.open(whole?.sealed ?? new Uint8Array(0)).length).toBe(fits.length)
  expect(whole?.cutFromBytes).toBeUndefined()
  expect(sealer.open(cut?.sealed ?? new Uint8Array(0)).length).toBe(POISON_CUT_BYTES)
  expect(cut).toMatchObject({
    cutFromBytes: tooLong.length,
    source: { partition: PARTITION, offset: firstPoison + 1 },
  })
  expect(await bench.metric('processor_poison_records_total')).toBe(2)
  expect(await bench.metric('processor_poison_cut_total')).toBe(1)
})

test.each([
  ['events of devices ten years ahead', { event: YEARS_MS }, { clamped: 2, late: 0 }],
  ['events of devices ten years behind', { event: -YEARS_MS }, { clamped: 0, late: 2 }],
  ['a device whose clock is ten years ahead', { device: YEARS_MS }, { clamped: 0, late: 0 }],
  ['a device whose clock is ten years behind', { device: -YEARS_MS }, { clamped: 0, late: 0 }],
  ['a gateway ten years ahead', { gateway: YEARS_MS }, { clamped: 0, late: 0, lowered: 1 }],
  ['a gateway ten years behind', { gateway: -YEARS_MS }, { clamped: 0, late: 2 }],
])('%s: counted, and nobody else’s minutes', async (_, off, expected) => {
  bench = await OracleBench.open()
  await bench.sendNeighbours(0)
  const nowMs = bench.nowMs
  const { event = 0, device = 0, gateway = 0 } = off as Record<string, number>
  const at = Math.max(0, nowMs + event + device + gateway)
  const events = [0, 1].map((seq) => ({ seq, type: 'playbackStart', at: at + seq }))
  const times = { sentAt: nowMs + device + gateway, receivedAt: nowMs + gateway }
  await bench.append(bench.frame({ sessionId: 'off', events, ...times }))
  await bench.machine.pass(1_000)
  await bench.sendNeighbours(1)
  expect(await bench.violations()).toEqual([])
  const [row] = await bench.session('off')
  const { clamped, late, lowered = 0 } = expected as Record<string, number>
  expect(row?.quality).toMatchObject({ late, repairs: { clamped } })
  expect(await bench.metric('processor_fold_events', { outcome: 'late' })).toBe(late)
  expect(await bench.metric('processor_received_at_clamped_records')).toBe(lowered)
  for (const { minuteStartMs } of await bench.minutesOf('total'))
    expect(Math.abs(minuteStartMs - nowMs)).toBeLessThan(600_000)
})

test('contents beyond the keys of a minute count as “other”, and their sums stay exact', async () => {
  bench = await OracleBench.open(FEW_KEYS)
  await bench.sendNeighbours(0)
  await bench.zap(4_000)
  await bench.sendNeighbours(1)
  expect(await bench.violations()).toEqual([])
  // Of two cuts with contents, all but those that had room.
  expect(await bench.metric('processor_keys_to_other')).toBeGreaterThan(2 * (4_000 - KEYS_MAX))
})
