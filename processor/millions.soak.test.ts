/**
 * A million events of one session, and a million contents in one minute: no state beyond the bounds,
 * and no cost that grows faster than the input.
 */
import { afterEach, expect, test } from 'vitest'
import { OracleBench, OTHER_PARTITION, PARTITION } from './testing/oracle-bench.ts'

const KEYS_MAX = 1_000
const FEW_KEYS = { PROCESSOR_KEYS_PER_CUT_MINUTE_MAX: `${KEYS_MAX}` }

let bench: OracleBench
afterEach(() => bench.close())

test('a session of a million events costs no more state than any other', async () => {
  bench = await OracleBench.open()
  await bench.sendNeighbours(0)
  const [appends, frames, events] = [50, 100, 200]
  for (let nth = 0; nth < appends; nth += 1) {
    const at = bench.nowMs
    const records = Array.from({ length: frames }, (_, frame) => {
      const first = (nth * frames + frame) * events
      const run = Array.from({ length: events }, (__, index) => {
        return { seq: first + index, type: 'heartbeat', at }
      })
      return bench.frame({ sessionId: 'endless', events: run })
    })
    await bench.append(...records)
    await bench.machine.pass(125)
  }
  await bench.sendNeighbours(1)
  expect(await bench.violations()).toEqual([])
  const [row] = await bench.session('endless')
  expect(row?.parts[0]?.events).toBe(appends * frames * events)
  expect(await bench.metric('processor_state_sessions')).toBe(2)
  // Beside the values of any session, the positions of its open row.
  expect(JSON.stringify(bench.processor.inspectSession('endless')).length).toBeLessThan(8_000)
})

test('a million contents in a minute take no more state than its keys, and no minute of others', async () => {
  bench = await OracleBench.open(FEW_KEYS)
  await bench.sendNeighbours(0)
  const contents = 1_000_000
  await bench.zap(contents)
  await bench.sendNeighbours(1)
  await bench.machine.settled(bench.processor)
  const minutes = (await bench.minutesOf('content')).filter((row) => row.partition === PARTITION)
  const byMinute = [...Map.groupBy(minutes, ({ minuteStartMs }) => minuteStartMs).values()]
  for (const rows of byMinute) expect(rows.length).toBeLessThanOrEqual(KEYS_MAX + 1)
  // Of the cuts with contents as many as they may have and `other`, of the others a few.
  const panesMax = byMinute.length * (2 * (KEYS_MAX + 1) + 10)
  expect(await bench.metric('processor_state_panes')).toBeGreaterThan(2 * KEYS_MAX)
  expect(await bench.metric('processor_state_panes')).toBeLessThan(panesMax)
  expect(await bench.metric('processor_keys_to_other')).toBeGreaterThan(contents)
  const frames = minutes.reduce((sum, { aggregates }) => sum + aggregates.frames, 0)
  expect(frames).toBe(contents + 2)
  expect(await bench.violations([OTHER_PARTITION])).toEqual([])
})
