/**
 * A run of the batch on the APIs of the cloud. The servers are those of the tests, on this machine, and
 * BigQuery's is DuckDB inside: how long it takes says nothing of BigQuery. Measured is our own process,
 * which makes raw files and Parquet, uploads both and waits for jobs; of BigQuery's side there is counted
 * what it is asked for. What six hours cost is extrapolated from the events of the run.
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
import type { BatchStep, PartMeasured, StepMeasured } from '../bench/batch-bench.ts'
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

/** What the run asked of the servers. */
interface Asked {
  rawBytes: number
  parquetBytes: number
  loads: number
  statements: number
}

interface LakeMeasured {
  readonly events: number
  readonly steps: readonly StepMeasured[]
  readonly asked: Asked
}

const lake: Proof = {
  name: 'lake-10m',
  shows: 'a run of 10 million events on the APIs of GCS and BigQuery, on servers of the tests',
  minutes: 25,
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
      const steps: StepMeasured[] = []
      let inTables = 0
      for (const part of ['raw', 'rest']) {
        const measured = JSON.parse(await runPart(folder, [part], cloud)) as PartMeasured
        steps.push(...measured.steps)
        inTables += measured.events
        for (const { step, wallMs, cpuMs } of measured.steps)
          said(`${NAMES[step]}: ${Math.round(wallMs)} ms, of CPU ${Math.round(cpuMs)} ms`)
      }
      return { events: inTables, steps, asked }
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

/** Counts what is asked; nothing befalls the requests. */
function watch(gcs: Gcs, bigQuery: ApiServer): Asked {
  const asked: Asked = { rawBytes: 0, parquetBytes: 0, loads: 0, statements: 0 }
  const spy = (server: Gcs | ApiServer, count: (request: ApiRequest) => void) =>
    server.proxy.inject({
      to(request) {
        if (request.method === 'POST') count(request)
        return false
      },
      effect: { kind: 'swallowed' },
    })
  spy(gcs, ({ url, body }) => {
    const target = `${url.search} ${body.subarray(0, 1_000).toString('latin1')}`
    if (target.includes('.ndjson.zst')) asked.rawBytes += body.length
    if (target.includes('.parquet')) asked.parquetBytes += body.length
  })
  spy(bigQuery, ({ body }) => {
    const isLoad = body.subarray(0, 100_000).includes('"sourceUris"')
    asked[isLoad ? 'loads' : 'statements'] += 1
  })
  return asked
}

function extrapolated({ events, steps }: LakeMeasured): Claim[] {
  const minutesOf = (ms: (step: StepMeasured) => number, isOf: (step: BatchStep) => boolean) => {
    const total = steps.filter(({ step }) => isOf(step)).reduce((sum, step) => sum + ms(step), 0)
    return Number(((total / Math.max(1, events)) * (LAKE_EVENTS / MS_PER_MINUTE)).toFixed(1))
  }
  const isOfShards = (step: BatchStep) => OF_SHARDS.includes(step)
  const madeMinutes = minutesOf(({ wallMs }) => wallMs, isOfShards)
  const bound = { atMost: LAKE_MINUTES_MAX }
  const of = '6 h at 10,000/s, extrapolated'
  return [
    {
      kind: 'floor',
      what: `${of}: raw files and Parquet by one process`,
      measured: madeMinutes,
      unit: 'min',
      bound,
    },
    {
      kind: 'floor',
      what: `${of}: CPU of our process, all steps`,
      measured: minutesOf(
        ({ cpuMs }) => cpuMs,
        () => true,
      ),
      unit: 'min',
      bound,
    },
    {
      kind: 'told',
      what: `${of}: shards that leave BigQuery ${BIGQUERY_MINUTES} of the ${LAKE_MINUTES_MAX} minutes`,
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

function stepClaims({ step, wallMs, cpuMs }: StepMeasured, events: number): Claim[] {
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
      what: `${what}: time, that of the servers of the tests included`,
      measured: Math.round(wallMs / 1_000),
      unit: 's',
    },
  ]
}

function askedClaims({ rawBytes, parquetBytes, loads, statements }: Asked): Claim[] {
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
