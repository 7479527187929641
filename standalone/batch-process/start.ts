/**
 * The batch of a standalone server, in a process of its own: it reads the log beside the server,
 * runs by schedule, and answers queries of the history. Built top to bottom, stopped in reverse.
 */
import { join } from 'node:path'
import { batchConfig } from '../../batch/config.ts'
import { createBatch, type Batch } from '../../batch/start.ts'
import { foldLimitsOf, processorConfig } from '../../processor/config.ts'
import { contentSourceOf } from '../../shared/content/content-source.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { openObjectStore, readObjectStoreSettings } from '../../shared/objects/open-object-store.ts'
import { parseCut } from '../../shared/qoe/cuts.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { StopStack, type Running } from '../../shared/runtime/lifecycle.ts'
import { systemRandom } from '../../shared/runtime/random.ts'
import { backhaulConfig } from '../../shared/runtime/settings.ts'
import { createTelemetryBase, type TelemetryBase } from '../../shared/runtime/telemetry.ts'
import {
  openWarehouse,
  readWarehouseSettings,
  type OpenWarehouseOptions,
} from '../../shared/warehouse/open-warehouse.ts'
import {
  readReconcileSummary,
  type ReconcileSummary,
} from '../../shared/warehouse/reconcile-summary.ts'
import { allTables, tables } from '../../shared/warehouse/tables.ts'
import type { Warehouse } from '../../shared/warehouse/warehouse.ts'
import type { ToBatch } from '../batch-messages.ts'
import { toErrorData } from '../batch-messages.ts'
import { scheduleConfig } from '../config.ts'
import { openDataFolder, type DataFolder } from '../data-folder.ts'
import {
  BATCH_DATABASE_MIB,
  BATCH_DATABASE_THREADS,
  QUERY_DATABASE_MIB,
  RECONCILE_LOOK_MS,
} from '../limits.ts'
import { QueryHost, type Send } from './query-host.ts'
import { BatchSchedule, type RunResult } from './schedule.ts'

export interface BatchProcessOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly readFile: (path: string) => string
  readonly clock: Clock
  readonly send: Send
}

export interface RunningBatchProcess extends Running {
  /** Never rejects: what fails is answered or logged. */
  receive(message: Exclude<ToBatch, { kind: 'stop' }>): Promise<void>
}

const MIB = 2 ** 20

export async function startBatchProcess(
  options: BatchProcessOptions,
): Promise<RunningBatchProcess> {
  const stack = new StopStack()
  try {
    return await startAll(options, stack)
  } catch (error) {
    await stack.stop()
    throw error
  }
}

async function startAll(
  { environment, readFile, clock, send }: BatchProcessOptions,
  stack: StopStack,
): Promise<RunningBatchProcess> {
  const common = readConfig(backhaulConfig, environment, readFile)
  const { everyMs } = readConfig(scheduleConfig, environment, readFile)
  const config = readConfig(batchConfig, withStandaloneMemory(environment), readFile)
  const limits = foldLimitsOf(readConfig(processorConfig, environment, readFile))
  const telemetry = createTelemetryBase(common.logLevel)
  const folder = openDataFolder(common.dataDir)

  const log = await openLmdbEventLog({
    folder: folder.logFolder,
    access: 'reader',
    mapBytes: common.logMapBytes,
    clock,
    failpoints: noFailpoints,
  })
  stack.add('event log', () => log.close())
  const { gcs } = readObjectStoreSettings(environment, readFile)
  const placed = { gcs, folder: folder.objectsFolder }
  const objects = await openObjectStore({ ...placed, clock, random: systemRandom, telemetry })
  stack.add('object store', () => objects.close())
  const { bigQuery } = readWarehouseSettings(environment, readFile, gcs)
  const opened = { bigQuery, store: objects, clock, random: systemRandom }
  const openNamed = warehouseOpener({ ...opened, temporaryFolder: temporaryFolder(folder) }, stack)
  const warehouse = await openNamed('warehouse', BATCH_DATABASE_MIB)
  await warehouse.ensureTables(allTables)

  const queries = new QueryHost(await openNamed('history', QUERY_DATABASE_MIB), send)
  stack.add('queries', () => queries.stop())
  const content = contentSourceOf(common, log)
  const batch = createBatch({
    ...(content === undefined ? {} : { content }),
    log,
    objects,
    warehouse,
    clock,
    config,
    limits,
    cuts: common.cuts.map(parseCut),
    logRetentionMs: common.logRetentionMs,
    telemetry,
    failpoints: noFailpoints,
    holder: `standalone ${process.pid}`,
    temporaryFolder: temporaryFolder(folder),
  })
  let reconcile: ReconcileSummary | undefined
  const tell = (runEnded: boolean) =>
    void send({ kind: 'activity', activity: { ...schedule.activity, reconcile }, runEnded })
  const schedule = new BatchSchedule({
    everyMs,
    clock,
    run: (signal) => runOnce(batch, signal),
    onChange: ({ runEnded }) => tell(runEnded),
  })
  schedule.start(await lastStartedAtMs(warehouse))
  stack.add('schedule', () => stopRuns(schedule, warehouse))
  // Whoever reconciles ends after it; what was found stays to be seen, and to alert, here.
  const look = async () => {
    const found = await lookForVerdict(objects, telemetry)
    if (found === undefined || found.reconciledAtMs === reconcile?.reconciledAtMs) return
    reconcile = found
    batch.showVerdict(found)
    tell(false)
  }
  const cancelLook = clock.every(RECONCILE_LOOK_MS, () => void look())
  stack.add('verdict', cancelLook)
  await look()
  await send({ kind: 'ready' })
  tell(false)
  return { receive: receiver({ queries, telemetry, send }), stop: () => stack.stop() }
}

/** What is not set is bounded so that the process stays within its memory. */
function withStandaloneMemory(environment: BatchProcessOptions['environment']) {
  return { BATCH_FLATTEN_MEMORY_BYTES: `${BATCH_DATABASE_MIB * MIB}`, ...environment }
}

function temporaryFolder({ path }: DataFolder): string {
  return join(path, 'tmp')
}

function warehouseOpener(
  parts: Omit<OpenWarehouseOptions, 'memoryMaxBytes' | 'threads'>,
  stack: StopStack,
) {
  return async (name: string, memoryMiB: number): Promise<Warehouse> => {
    const memoryMaxBytes = memoryMiB * MIB
    const warehouse = await openWarehouse({
      ...parts,
      memoryMaxBytes,
      threads: BATCH_DATABASE_THREADS,
    })
    stack.add(name, () => warehouse.close())
    return warehouse
  }
}

async function runOnce(batch: Batch, signal: AbortSignal): Promise<RunResult> {
  const done = await batch.run({ signal })
  if (done.outcome === 'idle') return { isCutShort: false, problem: problemOf(done.problems) }
  const { isCutShort, problems } = done.report
  return { isCutShort, problem: problemOf(problems) }
}

function problemOf([first]: readonly { code: string; message: string }[]): RunResult['problem'] {
  return first && { code: first.code, detail: first.message }
}

/** A statement under way is given up, so that the lease is free and the server stops in time. */
async function stopRuns(schedule: BatchSchedule, warehouse: Warehouse): Promise<void> {
  await Promise.all([schedule.stop(), warehouse.close()])
}

async function lastStartedAtMs(warehouse: Warehouse): Promise<number | undefined> {
  const session = await warehouse.open()
  try {
    const select = { sql: `SELECT MAX(started_at) AS started_at FROM ${tables.batchRuns.name}` }
    const [row] = await session.query(select, { maxRows: 1, timeoutMs: 60_000 })
    const startedAtMs = row?.['started_at']
    return typeof startedAtMs === 'number' ? startedAtMs : undefined
  } finally {
    await session.close()
  }
}

async function lookForVerdict(
  objects: ObjectStore,
  { log }: TelemetryBase,
): Promise<ReconcileSummary | undefined> {
  return readReconcileSummary(objects).catch((error: unknown) => {
    log.warn({ err: error }, 'the verdict of the reconciliation cannot be read')
    return undefined
  })
}

function receiver(parts: {
  readonly queries: QueryHost
  readonly telemetry: TelemetryBase
  readonly send: Send
}): RunningBatchProcess['receive'] {
  const { queries, telemetry, send } = parts
  const answer = async (message: Parameters<RunningBatchProcess['receive']>[0]) => {
    switch (message.kind) {
      case 'open':
        return queries.open(message.id)
      case 'query':
        return queries.query(message.id, message)
      case 'close':
        return queries.close(message.session)
      case 'metrics':
        return send({
          kind: 'metrics',
          id: message.id,
          text: await telemetry.registry.metrics(),
        })
    }
  }
  return async (message) => {
    try {
      await answer(message)
    } catch (error) {
      telemetry.log.warn({ err: error, request: message.kind }, 'a request of the server failed')
      if (message.kind !== 'close')
        await send({ kind: 'failed', id: message.id, error: toErrorData(error) })
    }
  }
}
