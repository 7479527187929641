/**
 * What the batch meets and must survive: each fault ends in a coded error that names the object or
 * the range, nothing is deleted, and the next run ends with the rows of an undisturbed one.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { logErrors } from '../shared/log/log-errors.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { objectErrors } from '../shared/objects/object-errors.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { ArmedFailpoints, noFailpoints, type FailpointName } from '../shared/runtime/failpoints.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { Row } from '../shared/warehouse/warehouse.ts'
import { computeFacts } from './fact-step.ts'
import type { StagingFile } from './flatten.ts'
import { jobsOf, load } from './load.ts'
import { createBatchTelemetry } from './telemetry.ts'
import { over } from './testing/altered-port.ts'
import { BatchMachine, configOf, PARTITIONS, type Ports } from './testing/batch-machine.ts'
import { withLeaseOfItsOwn } from './testing/own-lease.ts'
import { fillLog } from './testing/scenario.ts'

const RUN = 'batch/runs/0000000001'
const RETENTION_MS = 3_600_000

let gold: Record<string, readonly Row[]>
let goldRaw: Map<string, string>
let machine: BatchMachine
let clock: ManualClock

const fill = (of: BatchMachine, of_clock: ManualClock, seed = 3) =>
  fillLog({ log: of.ports.log, clock: of_clock, partitions: PARTITIONS, seed, turns: 14 })

async function expectGold(): Promise<void> {
  expect(gold['events']?.length).toBeGreaterThan(10)
  expect(await machine.rawFiles()).toEqual(goldRaw)
  const found = await machine.tables()
  for (const [name, rows] of Object.entries(gold)) expect(found[name], name).toEqual(rows)
}

beforeAll(async () => {
  const undisturbedClock = new ManualClock()
  const undisturbed = await BatchMachine.open({ clock: undisturbedClock })
  await fill(undisturbed, undisturbedClock)
  await undisturbed.run()
  gold = await undisturbed.tables()
  goldRaw = await undisturbed.rawFiles()
  await undisturbed.close()
})
beforeEach(async () => {
  clock = new ManualClock()
  machine = await BatchMachine.open({ clock })
  await fill(machine, clock)
})
afterEach(() => machine.close())

/** Runs until the failpoint, where the process would be killed. */
async function runUntil(name: FailpointName, wrap?: (ports: Ports) => Ports): Promise<void> {
  const failpoints = new ArmedFailpoints()
  failpoints.arm(name, () => Promise.reject(new Error('killed')))
  const settings = wrap === undefined ? { failpoints } : { failpoints, wrap }
  await expect(machine.run(settings)).rejects.toThrow('killed')
}

/** Objects whose calls go through `methods`. */
const withObjects =
  (methods: (objects: ObjectStore) => Partial<ObjectStore>) =>
  (ports: Ports): Ports => ({ ...ports, objects: over(ports.objects, methods(ports.objects)) })

const isRaw = (name: string) => name.startsWith('raw/')

async function nameOf(prefix: string, pattern: RegExp): Promise<string> {
  const name = (await machine.names(prefix)).find((one) => pattern.test(one))
  if (name === undefined) throw new Error(`no object like ${pattern.source}`)
  return name
}

/** Writes other bytes in the object's place; resolves with what puts the first ones back. */
async function alter(name: string, to: (bytes: Uint8Array) => Uint8Array) {
  const { objects } = machine.ports
  const stored = await objects.read(name)
  if (stored === undefined) throw new Error(`no object ${name}`)
  const altered = await objects.replace(name, to(stored.bytes), stored.info.generation)
  return async () => void (await objects.replace(name, stored.bytes, altered.generation))
}

describe('the log', () => {
  it('starts after the range: the partition is left out with its range, the others go on', async () => {
    await machine.run()
    const kept = await machine.names('')
    await clock.advance(60_000)
    await machine.ports.log.append(TOPICS.events, 0, [tick()])
    await machine.ports.log.append(TOPICS.events, 1, [tick()])
    const lost = over(machine.ports.log, {
      offsets: async (topic, partition) => {
        const range = await machine.ports.log.offsets(topic, partition)
        return partition === 0 && topic === TOPICS.events ? { ...range, start: range.end } : range
      },
    })
    const wrap = (ports: Ports): Ports => ({ ...ports, log: lost })
    const report = await machine.run({ wrap })
    expect(report.problems).toMatchObject([
      { topic: TOPICS.events, partition: 0, code: 'BATCH_DATA_LOSS' },
    ])
    const [before] = await machine.query(
      `SELECT next_offset FROM batch_runs WHERE topic = 'playback.events' AND log_partition = 0`,
    )
    expect(report.problems[0]?.message).toContain(
      `offset ${String(before?.['next_offset'])} of playback.events/0`,
    )
    expect(await machine.names('')).toEqual(expect.arrayContaining(kept))
    const taken = await machine.query(
      `SELECT log_partition FROM batch_runs WHERE run = 2 AND topic = 'playback.events'`,
    )
    expect(taken).toEqual([{ log_partition: 1n }])
    // It stays left out until the loss is accepted.
    await machine.ports.log.append(TOPICS.events, 0, [tick()])
    expect(
      await machine.batch({ wrap: () => ({ ...machine.ports, log: lost }) }).run(),
    ).toMatchObject({ outcome: 'idle', problems: [{ code: 'BATCH_DATA_LOSS' }] })
  })

  it('goes on from its first record once the loss is accepted', async () => {
    await machine.closeStores()
    await BatchMachine.open({ folder: machine.folder, clock, retentionMs: RETENTION_MS }).then(
      (reopened) => (machine = reopened),
    )
    await machine.run()
    const { end } = await machine.ports.log.offsets(TOPICS.events, 0)
    await machine.ports.log.append(TOPICS.events, 0, [tick(), tick()])
    await clock.advance(2 * RETENTION_MS)
    await machine.ports.log.append(TOPICS.events, 0, [tick()])
    await machine.ports.log.applyRetention()
    const { start } = await machine.ports.log.offsets(TOPICS.events, 0)
    expect(start).toBeGreaterThan(end)
    expect(await machine.batch().run()).toMatchObject({ problems: [{ code: 'BATCH_DATA_LOSS' }] })
    const acceptLoss = [{ topic: TOPICS.events, partition: 0 }]
    const report = await machine.run({}, { acceptLoss })
    expect(report.problems).toEqual([])
    const rows = await machine.query(
      `SELECT first_offset, next_offset FROM batch_runs WHERE run = 2 AND log_partition = 0`,
    )
    expect(rows).toEqual([{ first_offset: BigInt(start), next_offset: BigInt(start + 1) }])
  })

  it('cannot be read in one partition: the others are loaded, and its range comes again', async () => {
    const failing = over(machine.ports.log, {
      read: async (topic, partition, request) => {
        if (partition === 1 && topic === TOPICS.events && request.fromOffset > 0)
          throw logErrors.create('LOG_UNAVAILABLE')
        return machine.ports.log.read(topic, partition, request)
      },
    })
    const report = await machine.run({
      settings: { BATCH_FETCH_RECORDS_MAX: '3' },
      wrap: (ports) => ({ ...ports, log: failing }),
    })
    expect(report.problems).toMatchObject([
      { topic: TOPICS.events, partition: 1, code: 'BATCH_PARTITION_UNREADABLE' },
    ])
    expect((await machine.run()).problems).toEqual([])
    const found = await machine.tables()
    for (const { name } of [tables.events, tables.frames])
      expect(withoutRun(found[name]), name).toEqual(withoutRun(gold[name]))
  })

  it('cannot be read at all: the run is given up, and the next has another number', async () => {
    const failing = over(machine.ports.log, {
      read: () => Promise.reject(logErrors.create('LOG_UNAVAILABLE')),
    })
    const wrap = (ports: Ports): Ports => ({ ...ports, log: failing })
    const outcome = await machine.batch({ wrap }).run()
    expect(outcome).toMatchObject({ outcome: 'idle' })
    expect(outcome.outcome === 'idle' && outcome.problems.length).toBeGreaterThan(0)
    expect(await machine.run()).toMatchObject({ run: 2, problems: [] })
  })

  it('is another one: nothing is taken', async () => {
    await machine.run()
    const other = over(machine.ports.log, {
      describeTopic: async () => ({ topicId: 'another', partitions: PARTITIONS }),
    })
    const run = machine.run({ wrap: (ports) => ({ ...ports, log: other }) })
    await expect(run).rejects.toMatchObject({ code: 'BATCH_TOPIC_RECREATED' })
    await expect(run).rejects.toThrow('received another')
  })
})

describe('an upload', () => {
  it.each([
    ['is cut before anything is stored', false],
    ['is stored, and its answer lost', true],
  ])('%s: the next run completes it', async (_, stored) => {
    let uploads = 0
    const wrap = withObjects((objects) => ({
      create: async (name, bytes) => {
        if (!isRaw(name) || ++uploads !== 3) return objects.create(name, bytes)
        if (stored) await objects.create(name, bytes)
        throw objectErrors.create('OBJECT_UNAVAILABLE')
      },
    }))
    await expect(machine.run({ wrap })).rejects.toMatchObject({ code: 'OBJECT_UNAVAILABLE' })
    await machine.run()
    await expectGold()
  })

  it('meets another object of its name: an alarm, and the object stays', async () => {
    const [name = ''] = goldRaw.keys()
    await machine.ports.objects.create(name, Buffer.from('something else'))
    const run = machine.run()
    await expect(run).rejects.toMatchObject({ code: 'BATCH_OBJECT_DIFFERS' })
    await expect(run).rejects.toThrow(name)
    const stored = await machine.ports.objects.read(name)
    expect(Buffer.from(stored?.bytes ?? []).toString()).toBe('something else')
  })

  it.each([1, 4, 9, 15])('meets a full store at object %i: nothing of it counts', async (at) => {
    let objectsCreated = 0
    const full = async () => Promise.reject(objectErrors.create('OBJECT_FULL'))
    const wrap = withObjects((objects) => ({
      create: (name, bytes) => (++objectsCreated >= at ? full() : objects.create(name, bytes)),
    }))
    await expect(machine.run({ wrap })).rejects.toMatchObject({ code: 'OBJECT_FULL' })
    expect(await machine.query('SELECT * FROM batch_runs')).toEqual([])
    await machine.run()
    await expectGold()
  })
})

describe('a raw file', () => {
  it.each([
    ['is cut', (bytes: Uint8Array) => bytes.slice(0, -5)],
    ['is altered', (bytes: Uint8Array) => bytes.with(bytes.length >> 1, 0)],
  ])(
    '%s before it is flattened: refused by its name; it goes on with the right one',
    async (_, to) => {
      await runUntil('batch.afterManifest')
      const name = await nameOf('raw/topic=playback.events', /zst$/)
      const restore = await alter(name, to)
      const run = machine.run()
      await expect(run).rejects.toMatchObject({ code: 'BATCH_RAW_FILE_DAMAGED' })
      await expect(run).rejects.toThrow(name)
      await restore()
      await machine.run()
      await expectGold()
    },
  )

  it('is missing though the manifest names it', async () => {
    await runUntil('batch.afterManifest')
    const name = await nameOf('raw/topic=playback.events', /zst$/)
    const stored = await machine.ports.objects.read(name)
    await machine.ports.objects.delete(name)
    const run = machine.run()
    await expect(run).rejects.toMatchObject({ code: 'BATCH_OBJECT_MISSING' })
    await expect(run).rejects.toThrow(name)
    await machine.ports.objects.create(name, stored?.bytes ?? new Uint8Array(0))
    await machine.run()
    await expectGold()
  })
})

describe('what a run has written', () => {
  it.each(['cut', 'manifest', 'staging'])('is no %s: refused by its name', async (what) => {
    await runUntil('batch.afterFlatten')
    const name = `${RUN}/${what}.json`
    const restore = await alter(name, () => Buffer.from('{"format":2}'))
    const run = machine.run()
    await expect(run).rejects.toMatchObject({ code: 'BATCH_OBJECT_INVALID' })
    await expect(run).rejects.toThrow(name)
    await restore()
    await machine.run()
    await expectGold()
  })

  it('is a staging file that is gone or damaged: refused by its name', async () => {
    await runUntil('batch.afterFlatten')
    const name = await nameOf(RUN, /events-.*parquet$/)
    const restore = await alter(name, () => Buffer.from('PAR1'))
    const damaged = machine.run()
    await expect(damaged).rejects.toMatchObject({ code: 'WAREHOUSE_FILE_DAMAGED' })
    await expect(damaged).rejects.toThrow(name)
    await restore()
    const stored = await machine.ports.objects.read(name)
    await machine.ports.objects.delete(name)
    const missing = machine.run()
    await expect(missing).rejects.toMatchObject({ code: 'WAREHOUSE_FILE_MISSING' })
    await expect(missing).rejects.toThrow(name)
    await machine.ports.objects.create(name, stored?.bytes ?? new Uint8Array(0))
    await machine.run()
    await expectGold()
  })

  it('is a table of another schema: refused before anything is taken', async () => {
    const [first, ...rest] = tables.events.columns
    if (first === undefined) throw new Error('a table has columns')
    const other = { ...tables.events, columns: [{ ...first, type: 'INT64' as const }, ...rest] }
    await machine.ports.warehouse.ensureTables([other])
    const run = machine.run()
    await expect(run).rejects.toMatchObject({ code: 'WAREHOUSE_TABLE_MISMATCH' })
    await expect(run).rejects.toThrow(first.name)
    expect(await machine.names('raw/')).toEqual([])
  })
})

describe('a range', () => {
  it('that is loaded already adds nothing when its control rows are lost', async () => {
    await machine.run()
    await machine.ports.objects.delete('warehouse/tables/batch_runs.json')
    await machine.run()
    await expectGold()
  })

  it('that is loaded already adds nothing under the number of another run', async () => {
    await machine.run()
    const list = await machine.ports.objects.read(`${RUN}/staging.json`)
    const { files } = JSON.parse(Buffer.from(list?.bytes ?? []).toString()) as {
      files: StagingFile[]
    }
    const context = {
      warehouse: machine.ports.warehouse,
      failpoints: noFailpoints,
      telemetry: createBatchTelemetry(createTelemetryBase('silent')),
      limits: DEFAULT_FOLD_LIMITS,
      assertMayGoOn: () => undefined,
    }
    expect((await load(context, { run: 99, files, jobs: jobsOf(99) })).partitions).toEqual([])
    await expectGold()
  })
})

describe('a run that is loaded', () => {
  it('changes no row and no file of any table when it is loaded again', async () => {
    await machine.run()
    const before = await manifests()
    const list = await machine.ports.objects.read(`${RUN}/staging.json`)
    const { files } = JSON.parse(Buffer.from(list?.bytes ?? []).toString()) as {
      files: StagingFile[]
    }
    const rows = await machine.query(
      "SELECT log_partition, watermark_ms FROM batch_runs WHERE topic = 'playback.events'",
    )
    const watermarks = rows.map((row) => ({
      partition: Number(row['log_partition']),
      watermarkMs: Number(row['watermark_ms']),
    }))
    const telemetry = createTelemetryBase('silent')
    const context = {
      warehouse: machine.ports.warehouse,
      failpoints: noFailpoints,
      telemetry: createBatchTelemetry(telemetry),
      limits: DEFAULT_FOLD_LIMITS,
      config: configOf({ BATCH_FACT_BUCKETS: '1' }),
      cuts: DEFAULT_CUT_IDS.map(parseCut),
      assertMayGoOn: () => undefined,
    }
    // Jobs that no table remembers, so that every statement runs again.
    const of = { run: 1, jobs: 'again' }
    const { dates, partitions } = await load(context, { ...of, files })
    await computeFacts(context, { ...of, dates, watermarks })

    expect(partitions.reduce((sum, { events }) => sum + events, 0)).toBe(gold['events']?.length)
    const inserted = await telemetry.registry.getSingleMetric('batch_inserted_rows_total')?.get()
    expect(inserted?.values.map(({ labels }) => labels['table'])).toContain('events')
    for (const { labels, value } of inserted?.values ?? [])
      expect({ labels, value }).toEqual({ labels, value: 0 })
    // A statement that changes nothing swaps no manifest.
    expect(await manifests()).toEqual(before)
    expect(before.size).toBeGreaterThan(8)
    await expectGold()
  })
})

/** Of every table, by name. */
async function manifests(): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>()
  for (const name of await machine.names('warehouse/tables/')) {
    const stored = await machine.ports.objects.read(name)
    found.set(name, JSON.parse(Buffer.from(stored?.bytes ?? []).toString()))
  }
  return found
}

describe('two runs at once', () => {
  it('the second is refused, and told who is at work and until when', async () => {
    const failpoints = new ArmedFailpoints()
    const { promise: reached, resolve: atCut } = Promise.withResolvers<void>()
    const { promise: goOn, resolve: release } = Promise.withResolvers<void>()
    failpoints.arm('batch.afterCut', () => (atCut(), goOn))
    const first = machine.run({ failpoints, holder: 'the first' })
    await reached
    const second = machine.run({ holder: 'the second' })
    await expect(second).rejects.toMatchObject({ code: 'LEASE_HELD' })
    await expect(second).rejects.toThrow(
      `held by the first until ${new Date(clock.nowMs() + 60_000).toISOString()}`,
    )
    release()
    await first
    await expectGold()
  })

  it('end with the same rows even without a lease', async () => {
    const alone = () => (ports: Ports) => ({ ...ports, objects: withLeaseOfItsOwn(ports.objects) })
    const outcomes = await Promise.allSettled([
      machine.batch({ wrap: alone() }).run(),
      machine.batch({ wrap: alone() }).run(),
    ])
    const failures = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    for (const failure of failures) expect(failure).toMatchObject({ code: 'WAREHOUSE_CONFLICT' })
    await machine.batch().run()
    await expectGold()
  })

  it('a run that slept past its lease stops at its next step', async () => {
    const failpoints = new ArmedFailpoints()
    const refused = Promise.withResolvers<void>()
    const wrap = withObjects((objects) => ({
      replace: async (name, bytes, generation) => {
        try {
          return await objects.replace(name, bytes, generation)
        } catch (error) {
          // Once whoever asked has been told.
          setImmediate(refused.resolve)
          throw error
        }
      },
    }))
    failpoints.arm('batch.afterManifest', async () => {
      const stored = await machine.ports.objects.stat('leases/batch')
      const heir = Buffer.from(JSON.stringify({ holder: 'heir', untilMs: clock.nowMs() + 1e9 }))
      await machine.ports.objects.replace('leases/batch', heir, stored?.generation ?? 0)
      await clock.advance(30_000)
      await refused.promise
    })
    await expect(machine.run({ failpoints, wrap })).rejects.toMatchObject({ code: 'LEASE_LOST' })
    expect(await machine.names(`${RUN}/events`)).toEqual([])
  })
})

describe('the schema', () => {
  it('has a column that a table of before lacks: the table gets it', async () => {
    const added = 'throughput_kbps'
    const before = [tables.events, tables.eventCopies].map((table) => ({
      ...table,
      columns: table.columns.filter(({ name }) => name !== added),
    }))
    await machine.ports.warehouse.ensureTables(before)
    await machine.run()
    await expectGold()
  })
})

function withoutRun(rows: readonly Row[] | undefined) {
  return (rows ?? []).map((row) =>
    Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'run')),
  )
}

function tick() {
  return { key: undefined, value: new Uint8Array(0), headers: { schema: 'tick.v1' } }
}
