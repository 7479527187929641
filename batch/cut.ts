/**
 * The first step of a run: which records it takes. Of every partition, from where the last run
 * ended to the log's end at this moment, within bounds. The decision is an object created before
 * anything else is done, so that a run that was cut off takes the same ranges again, and with them
 * the same names, jobs and rows.
 *
 * A partition that cannot be taken is left out, with its reason; the others go on.
 */
import { z } from 'zod'
import type { EventLog } from '../shared/log/event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { listErasures } from '../shared/objects/erasures.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { BatchConfig } from './config.ts'
import type { Control } from './control.ts'
import { batchErrors } from './errors.ts'
import { lagOf, lagSchema, type WaitingRecords } from './lag.ts'
import { cutName } from './object-names.ts'
import { RAW_TOPICS } from './raw-line.ts'
import { createOrTake, readJsonObject } from './run-objects.ts'

const offset = z.int().min(0)

const rangeSchema = z.object({
  topic: z.enum(RAW_TOPICS),
  topicId: z.string(),
  partition: offset,
  first: offset,
  /** Exclusive. */
  end: offset,
  /** Largest append time below the range, epoch ms; `null` where history begins. */
  loggedAtMaxMs: z.int().nullable(),
})

export const problemSchema = z.object({
  topic: z.enum(RAW_TOPICS),
  partition: offset,
  code: z.string(),
  message: z.string(),
})

const cutSchema = z.object({
  format: z.literal(1),
  run: z.int().positive(),
  /** When the run took its cut, epoch ms: the time of all its rows. */
  cutAtMs: z.int(),
  outOfOrdernessMs: z.int(),
  runBytesMax: z.int().positive(),
  rawFileBytes: z.int().positive(),
  ranges: z.array(rangeSchema),
  leftOut: z.array(problemSchema),
  /** Erasures that the run heeds: those there were. What came later is removed afterwards. */
  erasures: z.array(z.string()).default([]),
  /** Absent in cuts of before it was looked at. */
  lag: lagSchema.optional(),
})

export type Range = z.infer<typeof rangeSchema>
/** Why a partition is left out of a run. */
export type Problem = z.infer<typeof problemSchema>
export type Cut = z.infer<typeof cutSchema>

/** A partition whose lost records an operator gives up: its range begins where the log does. */
export interface AcceptedLoss {
  readonly topic: string
  readonly partition: number
}

export interface CutContext {
  readonly log: EventLog
  readonly objects: ObjectStore
  readonly clock: Clock
  readonly config: BatchConfig
  readonly outOfOrdernessMs: number
  /** How long the log keeps records, ms. */
  readonly logRetentionMs: number
  readonly acceptLoss: readonly AcceptedLoss[]
}

/** The cut that the run took before; `undefined` when there is none. */
export function readCut(objects: ObjectStore, run: number): Promise<Cut | undefined> {
  return readJsonObject(objects, cutName(run), cutSchema)
}

/**
 * The same for whoever reads the log by it: throws `BATCH_TOPIC_RECREATED` where its offsets are
 * those of another topic.
 */
export async function readFitCut(
  { log, objects }: Pick<CutContext, 'log' | 'objects'>,
  run: number,
  control: Control,
): Promise<Cut | undefined> {
  await refuseRecreatedTopics(log, control)
  return readCut(objects, run)
}

/**
 * The run's cut: the one that it took before, here or in another process, or a new one. A new cut
 * without ranges is not kept: there is nothing to do, or nothing that can be done. Whoever may take a
 * new one holds the lease: it heeds the erasures that there are, and none may be under way meanwhile.
 * Throws `BATCH_TOPIC_RECREATED` before any object is written.
 */
export async function takeCut(context: CutContext, run: number, control: Control): Promise<Cut> {
  const earlier = await readFitCut(context, run, control)
  if (earlier !== undefined) return earlier
  const { objects } = context
  const cut = await newCut(context, run, control)
  if (cut.ranges.length === 0) return cut
  return createOrTake(objects, cutName(run), { schema: cutSchema, value: cut })
}

/** The cut that a run would take now; nothing is kept of it. */
export async function newCut(context: CutContext, run: number, control: Control): Promise<Cut> {
  const { objects, config, clock, outOfOrdernessMs } = context
  const cutAtMs = clock.nowMs()
  return {
    format: 1,
    run,
    cutAtMs,
    outOfOrdernessMs,
    runBytesMax: config.runBytesMax,
    rawFileBytes: config.rawFileBytes,
    ...(await rangesNow(context, control, cutAtMs)),
    erasures: await listErasures(objects),
  }
}

async function refuseRecreatedTopics(log: EventLog, control: Control): Promise<void> {
  for (const topic of RAW_TOPICS) {
    const { topicId } = await log.describeTopic(topic)
    const other = control.partitions.find((row) => row.topic === topic && row.topicId !== topicId)
    if (other !== undefined)
      throw batchErrors.create('BATCH_TOPIC_RECREATED', {
        expected: `${topic} with the id ${other.topicId}`,
        received: topicId,
      })
  }
}

async function rangesNow(
  context: CutContext,
  control: Control,
  nowMs: number,
): Promise<Pick<Cut, 'ranges' | 'leftOut' | 'lag'>> {
  const ranges: Range[] = []
  const leftOut: Problem[] = []
  const waiting: WaitingRecords[] = []
  for (const topic of RAW_TOPICS) {
    const { topicId, partitions } = await context.log.describeTopic(topic)
    for (let partition = 0; partition < partitions; partition += 1)
      try {
        const { range, records } = await rangeOf(context, control, { topic, topicId, partition })
        if (records === 0) continue
        ranges.push(range)
        waiting.push({ records, sinceMs: topic === TOPICS.events ? range.loggedAtMaxMs : null })
      } catch (error) {
        leftOut.push(problemOf(topic, partition, error))
      }
  }
  const { logRetentionMs, config } = context
  const lag = lagOf(waiting, { nowMs, logRetentionMs, runRecordsMax: config.runRecordsMax })
  return { ranges, leftOut, lag }
}

async function rangeOf(
  { log, config, acceptLoss }: CutContext,
  control: Control,
  place: Pick<Range, 'topic' | 'topicId' | 'partition'>,
): Promise<{ readonly range: Range; readonly records: number }> {
  const { topic, partition } = place
  const { start, end } = await log.offsets(topic, partition)
  const last = control.partitions.find(
    (row) => row.topic === topic && row.logPartition === partition,
  )
  const next = last?.nextOffset ?? start
  const isAccepted = acceptLoss.some((loss) => loss.topic === topic && loss.partition === partition)
  const first = isAccepted ? Math.max(start, next) : next
  if (start > first || end < first)
    throw batchErrors.create('BATCH_DATA_LOSS', {
      expected: `offset ${first} of ${topic}/${partition}`,
      received: `a log from ${start} to ${end}`,
    })
  const range = {
    ...place,
    first,
    end: Math.min(end, first + config.runRecordsMax),
    loggedAtMaxMs: last?.lastLoggedAtMs ?? null,
  }
  return { range, records: end - first }
}

/** A failure of the log concerns its partition; any other ends the run. */
export function problemOf(topic: Problem['topic'], partition: number, error: unknown): Problem {
  if (!(error instanceof BackhaulError)) throw error
  const { code, message } = error.code.startsWith('LOG_')
    ? unreadable(topic, partition, error)
    : error
  if (code !== 'BATCH_DATA_LOSS' && code !== 'BATCH_PARTITION_UNREADABLE') throw error
  return { topic, partition, code, message }
}

function unreadable(topic: string, partition: number, cause: BackhaulError): BackhaulError {
  const isLoss = cause.code === 'LOG_OFFSET_OUT_OF_RANGE'
  return batchErrors.create(isLoss ? 'BATCH_DATA_LOSS' : 'BATCH_PARTITION_UNREADABLE', {
    expected: isLoss ? `${cause.detail} of ${topic}/${partition}` : `${topic}/${partition}`,
    received: cause.message,
    cause,
  })
}
