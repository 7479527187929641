/**
 * The batch under SIGKILL: at every step, twice in a row, a real process is killed. The run after
 * that completes, and ends with the raw files, byte by byte, and the rows of one that was never
 * disturbed. The killed run is the second one of its log, so that it meets rows of an earlier run.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { NewRecord } from '../shared/log/event-log.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import type { FailpointName } from '../shared/runtime/failpoints.ts'
import type { Row } from '../shared/warehouse/warehouse.ts'
import { BatchMachine, PARTITIONS } from './testing/batch-machine.ts'
import { type Ended, runToItsEnd } from './testing/kill-at.ts'
import { fillLog } from './testing/scenario.ts'

const SCRIPT = join(import.meta.dirname, 'testing', 'run-to-the-kill.ts')
const TURNS = 16
/** A session of which the killed run has no copy: the watermark at its cut closes it. */
const LEFT = 'left-alone'
/** A killed process keeps its lease for a minute of its clock: the next one starts later than that. */
const BETWEEN_RUNS_MS = 120_000
const TIMEOUT_MS = 120_000

/** Where it is killed, and at which passing, the first time and the second. */
const KILLS: readonly (readonly [FailpointName, number, number])[] = [
  ['batch.afterCut', 1, 1],
  ['batch.afterSomeRawFiles', 3, 2],
  ['batch.afterRawFiles', 1, 1],
  ['batch.afterManifest', 1, 1],
  ['batch.afterFlatten', 1, 1],
  ['batch.afterSomeLoads', 1, 2],
  ['batch.afterLoads', 1, 1],
  ['batch.afterSomeInserts', 1, 2],
  ['batch.afterMerge', 1, 1],
  ['batch.afterSomeFacts', 1, 2],
  ['batch.afterFacts', 1, 1],
  ['batch.afterQuality', 1, 1],
  ['batch.afterLedger', 1, 1],
  ['batch.afterReport', 1, 1],
  ['batch.afterControlRows', 1, 1],
  // In the middle of a write of the warehouse: files are there and not named yet, or just named.
  ['warehouse.afterFiles', 1, 2],
  ['warehouse.afterManifest', 1, 1],
]

let root: string
let prepared: string
let nowMs: number
let gold: { readonly tables: Record<string, readonly Row[]>; readonly raw: Map<string, string> }

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backhaul-batch-kill-'))
  prepared = join(root, 'prepared')
  const clock = new ManualClock()
  const machine = await BatchMachine.open({ folder: prepared, clock })
  const fill = (seed: number) =>
    fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed, turns: TURNS })
  await fill(1)
  await machine.ports.log.append(TOPICS.events, 0, [lastFrameOf(LEFT, clock.nowMs())])
  await machine.run()
  await fill(2)
  await machine.closeStores()
  nowMs = clock.nowMs()
  const undisturbed = join(root, 'undisturbed')
  await cp(prepared, undisturbed, { recursive: true })
  await runBatch(undisturbed, 0)
  gold = await contentOf(undisturbed)
}, TIMEOUT_MS)

afterAll(() => rm(root, { recursive: true, force: true }))

/** A frame with a gap in its seqs, which counts as lost once the session has closed. */
function lastFrameOf(sessionId: string, nowMs: number): NewRecord {
  const events = [
    { seq: 0, type: 'playbackRequest', at: nowMs - 3_000 },
    { seq: 1, type: 'playbackStart', at: nowMs - 2_000, playheadMs: 0 },
    { seq: 3, type: 'heartbeat', at: nowMs - 1_000, playheadMs: 1_000 },
  ]
  const value = encodeFrameRecord({
    contextJson: Buffer.from(JSON.stringify({ sessionId, contentId: 'content', cdn: 'cdn' })),
    sentAtMs: nowMs,
    receivedAtMs: nowMs,
    rejectedSeqs: [],
    events: events.map((event) => Buffer.from(JSON.stringify(event))),
  })
  return { key: sessionId, value, headers: { schema: FRAME_SCHEMA } }
}

/** The `n`-th run on the folder, in a process of its own. */
function runBatch(folder: string, n: number, kill: readonly string[] = []): Promise<Ended> {
  return runToItsEnd([SCRIPT, folder, String(nowMs + n * BETWEEN_RUNS_MS), ...kill])
}

async function contentOf(folder: string) {
  const clock = new ManualClock(nowMs + 100 * BETWEEN_RUNS_MS)
  const machine = await BatchMachine.open({ folder, clock })
  const content = { tables: await machine.tables(), raw: await machine.rawFiles() }
  await machine.closeStores()
  return content
}

test.each(KILLS)('killed twice at %s', { timeout: TIMEOUT_MS }, async (name, first, second) => {
  const folder = join(root, `killed-at-${name}`)
  await cp(prepared, folder, { recursive: true })
  expect(await runBatch(folder, 1, [name, `${first}`])).toEqual({ killed: true, outcome: '' })
  const isOver = name === 'batch.afterControlRows'
  expect(await runBatch(folder, 2, [name, `${second}`])).toEqual(
    isOver ? { killed: false, outcome: 'idle' } : { killed: true, outcome: '' },
  )
  expect(await runBatch(folder, 3)).toEqual({
    killed: false,
    outcome: isOver ? 'idle' : 'completed',
  })
  const { tables, raw } = await contentOf(folder)
  expect(raw).toEqual(gold.raw)
  for (const [table, rows] of Object.entries(gold.tables))
    expect(tables[table], table).toEqual(rows)
  const left = tables['sessions']?.filter((row) => row['session_id'] === LEFT)
  expect(left).toMatchObject([{ closed: true, lost: 1n, run: 2n }])
  expect(tables['batch_runs']?.some((row) => row['run'] === 2n)).toBe(true)
  expect(tables['events']?.length).toBeGreaterThan(20)
  await rm(folder, { recursive: true, force: true })
})
