/** Rows 13, 17, 18 and 19 of the fault matrix (docs/faults.md), on embedded stores, judged by the oracle. */
import { afterEach, expect, test } from 'vitest'
import { TOPICS } from '../shared/log/topics.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { PARTITIONS, sealer } from './testing/test-machine.ts'
import { NEIGHBOUR, OracleBench, PARTITION } from './testing/oracle-bench.ts'

const HOUR_MS = 3_600_000
const LATENESS_MS = 600_000
/** Several ticks, and longer than a session waits for its next event. */
const IDLE_MS = 12_000
/** Of the 15 s within which an event is in time, once it is in the log. */
const IN_LATENESS_MS = 14_000

let bench: OracleBench
afterEach(() => bench.close())

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

test('row 13: a field of a later schema stays in the log and changes nothing; a later major is kept for a replay', async () => {
  bench = await OracleBench.open()
  await bench.sendNeighbours(0)
  const at = bench.nowMs
  const plain = bench.frame({
    sessionId: 'later',
    events: [{ seq: 0, type: 'playbackStart', at }],
  })
  const frame = JSON.parse(Buffer.from(plain.value).toString()) as {
    session: object
    events: object[]
  }
  const later = {
    ...frame,
    hops: 2,
    session: { ...frame.session, edition: 'gold' },
    events: frame.events.map((event) => ({ ...event, loudness: -23.5 })),
  }
  const offset = await bench.append({ ...plain, value: bytesOf(later) })
  const major = bytesOf({ v: 2, ...later })
  const poison = await bench.append({
    ...plain,
    value: major,
    headers: { schema: 'playback.v2' },
  })
  await bench.sendNeighbours(1)
  expect(await bench.violations()).toEqual([])
  const { log } = bench.machine.ports
  const [kept] = await log.readAt(TOPICS.events, [{ partition: PARTITION, offset }])
  expect(Buffer.from(kept?.value ?? []).toString()).toContain('"loudness":-23.5')
  expect(await bench.session('later')).toMatchObject([{ parts: [{ play: 1, events: 1 }] }])
  const [reject] = await bench.rejects()
  expect(reject).toMatchObject({ source: { partition: PARTITION, offset: poison } })
  expect(reject?.detail).toContain('playback.v2')
  expect(Buffer.from(sealer.open(reject?.sealed ?? new Uint8Array(0))).equals(major)).toBe(true)
  expect(await bench.metric('processor_poison_records_total')).toBe(1)
})

test.each([
  ['two hours ahead', 2 * HOUR_MS],
  ['two hours behind', -2 * HOUR_MS],
])('row 17: a processor whose clock is %s writes the rows of any other', async (_, offsetMs) => {
  const straight = await contentOf(0)
  const skewed = await contentOf(offsetMs)
  expect(skewed.violations).toEqual([])
  expect(skewed.rows).toEqual(straight.rows)
  expect(skewed.rows.minutes.length).toBeGreaterThan(1)
})

/** What is written of sessions that play, stand still, lose an event and come late. */
async function contentOf(clockOffsetMs: number) {
  const one = await OracleBench.open({}, clockOffsetMs)
  try {
    await one.sendNeighbours(0)
    for (let minute = 0; minute < 3; minute += 1) {
      await one.machine.pass(20_000)
      const at = one.nowMs
      const events = [{ seq: 2 * minute, type: 'playbackStart', at: at - 30_000 * (minute % 2) }]
      await one.append(one.frame({ sessionId: 'uneven', events }))
    }
    await one.sendNeighbours(1)
    const violations = await one.violations()
    const minutes = await one.minutesOf('total')
    const sessions = [...(await one.session('uneven')), ...(await one.session(NEIGHBOUR))]
    return { violations, rows: { minutes, sessions } }
  } finally {
    await one.close()
  }
}

test('row 18: an idle partition holds no minute open, and nothing that comes to it in time is dropped', async () => {
  bench = await OracleBench.open({ PROCESSOR_TICKS: 'true' })
  await bench.sendNeighbours(0)
  const beganMs = bench.nowMs
  const { machine, processor } = bench
  await machine.pass(IDLE_MS)
  // What every minute that is shown waits for: the rows of the partition that is furthest behind.
  await machine.until(async () => {
    const rows = await machine.ports.speed.readPartitions(processor.view)
    const watermarks = rows.map(({ narrowWatermarkMs }) => narrowWatermarkMs)
    return rows.length === PARTITIONS && Math.min(...watermarks) > beganMs + IDLE_MS / 2
  }, 'time has passed in both partitions')
  const [sessionId = ''] = ['one', 'two', 'three', 'four'].filter(
    (id) => partitionOf(id, PARTITIONS) !== PARTITION,
  )
  const events = [{ seq: 0, type: 'playbackStart', inMs: -IN_LATENESS_MS }]
  const { partition } = await machine.send({ sessionId, events })
  await machine.settled(processor)
  expect(await bench.session(sessionId)).toMatchObject([
    { parts: [{ play: 1, events: 1 }], quality: { late: 0 } },
  ])
  expect(await bench.exceptions(partition)).toEqual([])
  const counters = processor.inspectPartitions()[partition]?.fold?.counters
  expect(counters).toMatchObject({ read: 2, applied: 2, late: 0 })
})

test('row 19: late within the reorder time is applied, within the lateness restates, beyond is set aside', async () => {
  bench = await OracleBench.open({ PROCESSOR_ALLOWED_LATENESS_MS: `${LATENESS_MS}` })
  await bench.sendNeighbours(0)
  const beganMs = bench.nowMs
  const say = (sessionId: string, seq: number, at = bench.nowMs) =>
    bench.append(bench.frame({ sessionId, events: [{ seq, type: 'playbackStart', at }] }))
  for (const seq of [0, 2, 1]) await say('overtaken', seq)
  await bench.machine.settled(bench.processor)
  const before = await minuteOfStart(beganMs)
  await bench.machine.pass(8_000)
  await say('restates', 0, beganMs)
  await bench.machine.settled(bench.processor)
  const after = await minuteOfStart(beganMs)
  expect(after?.aggregates.plays).toBe((before?.aggregates.plays ?? 0) + 1)
  expect(after?.stampUs).toBeGreaterThan(before?.stampUs ?? Infinity)
  const offset = await say('beyond', 0, bench.nowMs - 2 * LATENESS_MS)
  await bench.sendNeighbours(1)
  expect(await bench.violations()).toEqual([])
  expect(await bench.metric('processor_fold_events', { outcome: 'late' })).toBe(1)
  expect(await bench.exceptions()).toEqual([
    expect.objectContaining({ sessionId: 'beyond', seq: 0, offset, reason: 'late' }),
  ])
  expect((await bench.session('overtaken'))[0]).toMatchObject({
    parts: [{ events: 3 }],
    quality: { lost: 0, amended: 0, repairs: { backwards: 0 } },
  })
  expect((await bench.session('beyond'))[0]?.quality).toMatchObject({ late: 1 })
})

async function minuteOfStart(beganMs: number) {
  const minuteStartMs = Math.floor(beganMs / 60_000) * 60_000
  const rows = await bench.minutesOf('total')
  return rows.find((row) => row.partition === PARTITION && row.minuteStartMs === minuteStartMs)
}
