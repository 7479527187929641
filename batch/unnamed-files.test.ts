/**
 * What shards and runs leave that were cut off or came too late: it goes, with what it holds of erased
 * viewers, and nothing else does.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest'
import { logErrors } from '../shared/log/log-errors.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { ArmedFailpoints, noFailpoints } from '../shared/runtime/failpoints.ts'
import { compact } from './compact/compact.ts'
import { eraseViewer } from './erase/erase.ts'
import { keepPart } from './parts.ts'
import { over } from './testing/altered-port.ts'
import { BatchMachine, configOf, PARTITIONS, type Ports } from './testing/batch-machine.ts'
import {
  closeEraseMachine,
  ERASED,
  type EraseMachine,
  erasePartsOf,
  everything,
  NEW,
  OLD,
  openEraseMachine,
  VIEWER,
  watch,
} from './testing/erase-machine.ts'
import { Gate, gated } from './testing/gated-objects.ts'
import { fillLog } from './testing/scenario.ts'
import { removeUnnamedRawFiles } from './unnamed-files.ts'

const ONE_SHARD = { index: 0, count: 1 }
/** Offset after which a partition cannot be read: a file of it is there by then. */
const FAILS_AFTER = 3

async function filesInForce(machine: BatchMachine): Promise<string[]> {
  const rows = await machine.query('SELECT file FROM ledger WHERE superseded_by IS NULL')
  return rows.map(({ file }) => String(file)).toSorted()
}

describe('a shard that goes on when a viewer of its range is erased leaves files', () => {
  let root: string
  let prepared: string
  let nowMs: number
  let opened: EraseMachine
  /** What the shard has left after the erasure. */
  let left: object

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'backhaul-unnamed-'))
    prepared = join(root, 'prepared')
    const begun = await openEraseMachine(prepared, Date.parse('2026-03-01T02:00:00Z'))
    const { machine, clock } = begun
    await watch(begun, 0)
    const gate = new Gate()
    const wrap = ({ objects, ...ports }: Ports): Ports => ({
      ...ports,
      objects: gated(objects, ['create', 'raw/', 1], gate),
    })
    const late = machine.batch({ wrap }).runShard({ shard: ONE_SHARD })
    await gate.stopped
    await machine.run()
    await eraseViewer(erasePartsOf(begun), VIEWER)
    const isErased = !(await everything(begun)).includes(NEW)
    gate.goOn()
    const { outcome } = await late
    left = { isErased, outcome, isBack: (await everything(begun)).includes(NEW) }
    nowMs = clock.nowMs()
    await closeEraseMachine(begun)
  })
  afterAll(() => rm(root, { recursive: true, force: true }))

  beforeEach(async () => {
    const folder = await mkdtemp(join(root, 'copy-'))
    await cp(prepared, folder, { recursive: true })
    opened = await openEraseMachine(folder, nowMs)
  })
  afterEach(() => closeEraseMachine(opened))

  it('with what was erased in them', () => {
    expect(left).toEqual({ isErased: true, outcome: 'completed', isBack: true })
  })

  const compactNow = () =>
    compact({
      ...opened.machine.ports,
      clock: opened.clock,
      config: configOf({}),
      failpoints: noFailpoints,
      holder: 'test',
    })
  const runNext = async () => {
    await watch(opened, 1)
    await opened.machine.run()
  }
  it.each([
    ['the next run', runNext],
    ['a compaction', compactNow],
    ['another erasure', () => eraseViewer(erasePartsOf(opened), VIEWER)],
  ])('which go with %s', async (_, work) => {
    const { machine } = opened
    const before = await machine.query('SELECT * FROM events ORDER BY log_partition, log_offset')
    await work()
    const text = await everything(opened)
    for (const gone of [NEW, OLD, ...ERASED]) expect(text.includes(gone), gone).toBe(false)
    expect(text.includes('kept')).toBe(true)
    expect(await filesInForce(machine)).toEqual(await machine.names('raw/'))
    const after = await machine.query('SELECT * FROM events ORDER BY log_partition, log_offset')
    expect(after).toEqual(expect.arrayContaining([...before]))
  })
})

describe('of a range that no run has taken', () => {
  let clock: ManualClock
  let machine: BatchMachine
  /** Files of a few records: a run with the default has fewer, of other names. */
  const small = { BATCH_RAW_FILE_BYTES: '1024', BATCH_FETCH_RECORDS_MAX: '1' }

  beforeEach(async () => {
    clock = new ManualClock()
    machine = await BatchMachine.open({ clock })
    const { log } = machine.ports
    await fillLog({ log, clock, partitions: PARTITIONS, seed: 5, turns: 10 })
  })
  afterEach(() => machine.close())

  test('what a shard has read goes, where another one could not', async () => {
    const failpoints = new ArmedFailpoints()
    failpoints.arm('batch.afterSomeRawFiles', async () => {
      failpoints.arm('batch.afterSomeRawFiles', undefined)
      const code = 'BATCH_PARTITION_UNREADABLE'
      const problem = { topic: 'playback.events', partition: 0, code, message: 'away' } as const
      const written = { problem, files: [] }
      await keepPart(machine.ports.objects, { run: 1, range: 0, written, staging: [] })
    })
    await machine.batch({ settings: small, failpoints }).runShard({ shard: ONE_SHARD })
    expect((await machine.run()).problems).toHaveLength(1)
    const left = await machine.names('raw/')
    expect(left.length).toBeGreaterThan((await filesInForce(machine)).length)
    await machine.run()
    await expectEachEventOnce()
  })

  test('what a run has read goes, of which nothing could be read to its end', async () => {
    const wrap = (ports: Ports): Ports => ({
      ...ports,
      log: over(ports.log, {
        read: (topic, partition, request) =>
          request.fromOffset > FAILS_AFTER || topic !== 'playback.events'
            ? Promise.reject(logErrors.create('LOG_UNAVAILABLE'))
            : ports.log.read(topic, partition, request),
      }),
      objects: over(ports.objects, { delete: () => Promise.reject(new Error('killed')) }),
    })
    const run = machine.batch({ settings: small, wrap }).run()
    await expect(run).rejects.toThrow('killed')
    expect(await machine.names('raw/')).not.toEqual([])
    await clock.advance(3_600_000)
    expect((await machine.run()).run).toBe(2)
    await expectEachEventOnce()
  })

  test('nothing goes that is nowhere else, or of a run that is half done', async () => {
    const { objects, log, warehouse } = machine.ports
    const parts = { objects, log, warehouse, assertMayGoOn: () => undefined }
    await machine.batch().runShard({ shard: ONE_SHARD })
    const ofShard = await machine.names('raw/')
    expect(ofShard).not.toEqual([])
    expect(await removeUnnamedRawFiles(parts, undefined)).toEqual([])
    await machine.run()
    const [file = ''] = await machine.names('raw/topic=playback.events/')
    const beyond = file.replace(/\d{20}-\d{20}/, `${'8'.repeat(20)}-${'9'.repeat(20)}`)
    await objects.create(beyond, Buffer.from('of no log'))
    const copy = file.replace('.ndjson', '-g7.ndjson')
    await objects.create(copy, Buffer.from('of the same records'))
    const bytes = (await objects.read(file))?.bytes ?? Buffer.of()
    await objects.delete(file)
    // Its records are in no file in force that is there.
    expect(await removeUnnamedRawFiles(parts, undefined)).toEqual([])
    await objects.create(file, bytes)
    expect(await removeUnnamedRawFiles(parts, undefined)).toEqual([copy])
    expect(await machine.names(beyond)).toEqual([beyond])
  })

  async function expectEachEventOnce(): Promise<void> {
    expect(await filesInForce(machine)).toEqual(await machine.names('raw/'))
    const { log } = machine.ports
    const ends = await Promise.all(
      [...Array(PARTITIONS).keys()].map((partition) => log.offsets('playback.events', partition)),
    )
    const taken = await machine.query(
      `SELECT COUNT(*) AS n, SUM(last_offset - first_offset + 1) AS records
       FROM ledger WHERE topic = 'playback.events'`,
    )
    expect(Number(taken[0]?.['records'])).toBe(ends.reduce((sum, { end }) => sum + end, 0))
  }
})
