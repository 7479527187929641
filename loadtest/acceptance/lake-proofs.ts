/**
 * A run of the batch on the APIs of the cloud. The servers are those of the tests, on this machine, and
 * BigQuery's is DuckDB inside: how long it takes says nothing of BigQuery. Measured is our own process,
 * which makes raw files and Parquet, uploads both and waits for jobs; the time in which it waited for a
 * server to answer is told apart. Of BigQuery's side there is counted what it is asked for. What six
 * hours cost is extrapolated from the events of the run.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ApiRequest } from '../../scripts/services/api-proxy.ts'
import type { ApiServer } from '../../scripts/services/api-server.ts'
import { startBigQuery } from '../../scripts/services/bigquery.ts'
import { startGcs, type Gcs } from '../../scripts/services/gcs.ts'
import { bucketEnvironment, freshBucket } from '../../shared/objects/testing/gcs-bucket.ts'
import {
  datasetEnvironment,
  freshDatasets,
} from '../../shared/warehouse/testing/bigquery-dataset.ts'
import {
  BATCH_STEPS,
  type BatchStep,
  type PartMeasured,
  type StepMeasured,
} from '../bench/batch-bench.ts'
import type { Claim, Proof } from './proof.ts'

const PART = join(import.meta.dirname, '..', 'bench', 'batch-part.ts')
const EVENTS = 10_000_000
const EVENTS_OF_A_REHEARSAL = 100_000
const EVENTS_PER_FRAME = 10
/** Six hours at 10,000 events a second. */
const LAKE_EVENTS = 6 * 3_600 * 10_000
const LAKE_MINUTES_MAX = 30
/** Left to BigQuery of these. */
const BIGQUERY_MINUTES = 15
const MEMORY_MAX_MIB = Math.floor(1.5e9 / 2 ** 20)
const MIB = 2 ** 20
const NS_PER_MS = 1e6
const MS_PER_MINUTE = 60_000
/** As docs/gcp.md has it for an hour of a partition. */
const AT_SCALE = { BATCH_RAW_FILE_BYTES: '1073741824' }
/** What a shard makes; all else waits for jobs of BigQuery. */
const OF_SHARDS: readonly BatchStep[] = ['raw', 'flatten']
const NAMES: Readonly<Record<BatchStep, string>> = {
  raw: 'log to raw files in the bucket',
  flatten: 'raw files to Parquet in the bucket',
  load: 'load and MERGE, as seen from our process',
  facts: 'facts, as seen from our process',
  quality: 'quality, as seen from our process',
  close: 'ledger, report, control rows',
}

/** Up to the tables, as the range of the claim has it; facts and quality follow. */
const TO_TABLES: readonly BatchStep[] = ['raw', 'flatten', 'load']

/** When a server had a request, epoch ms. */
interface Waited {
  readonly fromMs: number
  readonly toMs: number
}

/** What the run asked of the servers. */
interface Asked {
  rawBytes: number
  parquetBytes: number
  loads: number
  statements: number
  /** In the order of their ends. */
  readonly waited: Waited[]
}

interface LakeStep extends StepMeasured {
  /** Of its time, how long a server had at least one request. */
  readonly serversMs: number
}

interface LakeMeasured {
  readonly events: number
  readonly steps: readonly LakeStep[]
  readonly asked: Omit<Asked, 'waited'>
}

const lake: Proof = {
  name: 'lake-10m',
  shows: 'a run of 10 million events on the APIs of GCS and BigQuery, on servers of the tests',
  minutes: 8,
  async run({ minutesMax, said }) {
    const filled = minutesMax === Infinity ? EVENTS : EVENTS_OF_A_REHEARSAL
    const measured = await measureLake(filled, said)
    const missing = Math.abs(filled - measured.events)
    const claims: Claim[] = [
      {
        kind: 'correctness',
        what: 'in the log and not in the tables, or too many there',
        measured: missing,
        unit: 'events',
        bound: { atMost: 0 },
      },
      ...extrapolated(measured),
      ...memoryClaims(measured.steps),
      ...measured.steps.flatMap((step) => stepClaims(step, filled)),
      ...askedClaims(measured.asked),
    ]
    return { claims, details: measured }
  },
}

export const lakeProofs: readonly Proof[] = [lake]

async function measureLake(events: number, said: (line: string) => void): Promise<LakeMeasured> {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-lake-'))
  const gcs = await startGcs()
  try {
    const bigQuery = await startBigQuery({ objectsFolder: gcs.objectsFolder })
    try {
      const dataset = datasetEnvironment(bigQuery, await freshDatasets(bigQuery))
      const cloud = { ...bucketEnvironment(gcs, await freshBucket(gcs)), ...dataset, ...AT_SCALE }
      const asked = watch(gcs, bigQuery)
      said(`filling a log with ${events} events`)
      await runPart(folder, ['fill', `${EVENTS_PER_FRAME}`, `${events}`], {})
      const steps: LakeStep[] = []
      let inTables = 0
      for (const part of ['raw', 'rest']) {
        const measured = JSON.parse(await runPart(folder, [part], cloud)) as PartMeasured
        inTables += measured.events
        for (const step of measured.steps) {
          const serversMs = waitedWithin(asked.waited, step)
          steps.push({ ...step, serversMs })
          said(
            `${NAMES[step.step]}: ${Math.round(step.wallMs)} ms, of which servers ${Math.round(serversMs)} ms; CPU ${Math.round(step.cpuMs)} ms`,
          )
        }
      }
      const { waited: _waited, ...counts } = asked
      return { events: inTables, steps, asked: counts }
    } finally {
      await bigQuery.stop()
    }
  } finally {
    await gcs.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runPart(
  folder: string,
  args: readonly string[],
  settings: Readonly<Record<string, string>>,
): Promise<string> {
  const script = [PART, folder, ...args]
  const { stdout } = await promisify(execFile)(process.execPath, script, { env: settings })
  return stdout
}

/** Counts what is asked, and notes when. */
function watch(gcs: Gcs, bigQuery: ApiServer): Asked {
  const asked: Asked = { rawBytes: 0, parquetBytes: 0, loads: 0, statements: 0, waited: [] }
  const spy = (server: Gcs | ApiServer, count: (request: ApiRequest) => void) =>
    server.proxy.observe((request, fromMs, toMs) => {
      asked.waited.push({ fromMs, toMs })
      if (request.method === 'POST') count(request)
    })
  spy(gcs, ({ url, body }) => {
    const target = `${url.search} ${body.subarray(0, 1_000).toString('latin1')}`
    if (target.includes('.ndjson.zst')) asked.rawBytes += body.length
    if (target.includes('.parquet')) asked.parquetBytes += body.length
  })
  spy(bigQuery, ({ url, body }) => {
    if (!/\/(?:jobs|queries)$/.test(url.pathname)) return
    const isLoad = body.subarray(0, 100_000).includes('"sourceUris"')
    asked[isLoad ? 'loads' : 'statements'] += 1
  })
  return asked
}

/** How much of the step's time lies within any of the requests, which may lie beside one another. */
function waitedWithin(waited: readonly Waited[], { startedAtMs, wallMs }: StepMeasured): number {
  const endMs = startedAtMs + wallMs
  let reachedMs = startedAtMs
  let sumMs = 0
  for (const { fromMs, toMs } of waited.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const [from, to] = [Math.max(fromMs, reachedMs), Math.min(toMs, endMs)]
    if (to <= from) continue
    sumMs += to - from
    reachedMs = to
  }
  return sumMs
}

/** How long all events of six hours take, when each takes as long as here. */
function extrapolated({ events, steps }: LakeMeasured): Claim[] {
  const minutesOf = (ms: (step: LakeStep) => number, of: readonly BatchStep[] = BATCH_STEPS) => {
    const total = steps.reduce((sum, step) => sum + (of.includes(step.step) ? ms(step) : 0), 0)
    return Number(((total / Math.max(1, events)) * (LAKE_EVENTS / MS_PER_MINUTE)).toFixed(1))
  }
  const ownMs = ({ wallMs, serversMs }: LakeStep) => wallMs - serversMs
  const madeMinutes = minutesOf(({ wallMs }) => wallMs, OF_SHARDS)
  const claim = (kind: Claim['kind'], what: string, measured: number): Claim => ({
    kind,
    what: `6 h at 10,000/s, extrapolated: ${what}`,
    measured,
    unit: 'min',
    ...(kind === 'floor' && { bound: { atMost: LAKE_MINUTES_MAX } }),
  })
  return [
    claim('floor', 'raw files and Parquet by one process, its uploads included', madeMinutes),
    claim(
      'floor',
      'our process from the log to the last MERGE, without the answers of servers',
      minutesOf(ownMs, TO_TABLES),
    ),
    claim(
      'floor',
      'CPU of our process, all steps',
      minutesOf(({ cpuMs }) => cpuMs),
    ),
    claim(
      'told',
      'from the log to the last MERGE by one process, the server of the tests in place of BigQuery',
      minutesOf(({ wallMs }) => wallMs, TO_TABLES),
    ),
    claim(
      'told',
      'our process in facts, quality and close, without the answers of servers',
      minutesOf(ownMs, ['facts', 'quality', 'close']),
    ),
    {
      kind: 'told',
      what: `6 h at 10,000/s, extrapolated: shards that leave BigQuery ${BIGQUERY_MINUTES} of the ${LAKE_MINUTES_MAX} minutes`,
      measured: Math.ceil(madeMinutes / (LAKE_MINUTES_MAX - BIGQUERY_MINUTES)),
      unit: 'processes',
    },
  ]
}

function memoryClaims(steps: readonly StepMeasured[]): Claim[] {
  const peak = (isOf: (step: BatchStep) => boolean) =>
    Math.max(...steps.flatMap(({ step, peakMiB }) => (isOf(step) ? [peakMiB] : [])))
  return [
    {
      kind: 'floor',
      what: 'peak memory of a step from raw files on',
      measured: peak((step) => step !== 'raw'),
      unit: 'MiB',
      bound: { atMost: MEMORY_MAX_MIB },
    },
    {
      kind: 'told',
      what: 'peak memory of writing raw files, with mapped pages of the log',
      measured: peak((step) => step === 'raw'),
      unit: 'MiB',
    },
  ]
}

function stepClaims({ step, wallMs, serversMs, cpuMs }: LakeStep, events: number): Claim[] {
  const what = NAMES[step]
  return [
    {
      kind: 'told',
      what: `${what}: CPU of our process`,
      measured: Math.round((cpuMs * NS_PER_MS) / events),
      unit: 'ns/event',
    },
    {
      kind: 'told',
      what: `${what}: time of our process, without the answers of servers`,
      measured: Math.round((wallMs - serversMs) / 1_000),
      unit: 's',
    },
    {
      kind: 'told',
      what: `${what}: time in which servers of the tests had a request`,
      measured: Math.round(serversMs / 1_000),
      unit: 's',
    },
  ]
}

function askedClaims({
  rawBytes,
  parquetBytes,
  loads,
  statements,
}: LakeMeasured['asked']): Claim[] {
  const told = (what: string, measured: number, unit: string): Claim => {
    return { kind: 'told', what, measured: Math.round(measured), unit }
  }
  return [
    told('raw files uploaded', rawBytes / MIB, 'MiB'),
    told('Parquet uploaded, and loaded by BigQuery', parquetBytes / MIB, 'MiB'),
    told('load jobs asked of BigQuery', loads, ''),
    told('statements asked of BigQuery, whose slots nobody knows here', statements, ''),
  ]
}
