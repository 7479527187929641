/**
 * Reads minutes from both sides as of one moment. A moment holds one snapshot of the history, and
 * with it one boundary: however far batch and live move while an answer is made, every minute of it
 * is asked of exactly one side. An answer costs at most one query to the history and three to the
 * speed store.
 *
 * The speed store keeps its rows long past the boundary. So when the history does not answer, or
 * lacks the cut, its minutes are read from there as far as they go, and the answer says so.
 */
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { Degraded } from './api-schemas.ts'
import { splitRange, type Segment, type Source } from './boundary.ts'
import { servingErrors } from './errors.ts'
import type { PartitionProgress } from '../shared/speed/generations.ts'
import { unavailable, type History } from './history/history.ts'
import type { HistorySnapshot } from './history/snapshot.ts'
import type { ServingLimits } from './limits.ts'
import type { MinuteReader } from './minute-reader.ts'
import { pinnedKeys, type MinuteRange, type Selection } from './qoe-query.ts'
import type { MergedMinute, MergedMinutes } from '../shared/speed/row-merge.ts'

export interface ReadingContext {
  readonly reader: MinuteReader
  /** Absent where no batch runs: then all is live. */
  readonly history: History | undefined
  readonly limits: ServingLimits
  readonly clock: Clock
  readonly paneLifeMs: number
}

/** What one side answered of a bucket. */
export interface Side {
  readonly source: Source
  /** End of its minutes. */
  readonly toMs: number
  /** Watermark of what was read; `undefined` while a partition has written nothing. */
  readonly asOfMs: number | undefined
}

export interface Reading {
  readonly minutes: MergedMinutes
  /** The sides that answered for a bucket, in order of time; more than one only of a window. */
  sidesOf(range: MinuteRange): readonly Side[]
  /** Watermark of the newest part of the answer. */
  readonly asOfMs: number | undefined
  /** Whether the answer has a live part, which can be stale. */
  readonly isLive: boolean
  /** End of what the batch has completed, as this answer saw it. */
  readonly historyToMs: number | undefined
  readonly degraded: readonly Degraded[]
}

export interface Moment {
  readonly snapshot: HistorySnapshot | undefined
  /** Why there is no snapshot, when there should be one. */
  readonly failure: BackhaulError | undefined
  readonly historyTimeoutMs: number
  progress(): Promise<PartitionProgress>
  release(): void
}

/** How long one answer waits for the history; the live feed neither waits for a first snapshot. */
export interface Patience {
  readonly timeoutMs: number
  readonly waitsForSnapshot: boolean
}

/** Fixes the moment of an answer about `range`; the caller releases it. */
export async function openMoment(
  range: MinuteRange,
  patience: Patience,
  context: ReadingContext,
): Promise<Moment> {
  const { history, reader, clock, paneLifeMs } = context
  let snapshot: HistorySnapshot | undefined
  let failure: BackhaulError | undefined
  // What is younger than a pane's life is in no history: most live pages never touch it.
  if (history !== undefined && range.fromMs < clock.nowMs() - paneLifeMs)
    try {
      snapshot = await history.acquire(patience.waitsForSnapshot)
    } catch (error) {
      failure = unavailable(error)
    }
  let progress: Promise<PartitionProgress> | undefined
  return {
    snapshot,
    failure,
    historyTimeoutMs: patience.timeoutMs,
    progress: () => (progress ??= reader.readProgress()),
    release: () => snapshot?.release(),
  }
}

/** Reads the minutes a selection needs: single keys where the filter names them all. */
export async function readMinutes(
  selection: Selection,
  range: MinuteRange & { readonly stepMs: number },
  moment: Moment,
  context: ReadingContext,
): Promise<Reading> {
  const { cut } = selection
  const { snapshot } = moment
  const degraded = moment.failure === undefined ? [] : [noteOf(moment.failure)]
  if (snapshot?.lacks(cut, range) === true) degraded.push(noteOf(cutMissing(cut)))
  let segments = splitRange(range, range.stepMs, snapshot?.covered(cut))
  const past = segments.find(({ source }) => source === 'history')
  const live = segments.filter(({ source }) => source === 'speed')
  const [fromHistory, fromSpeed] = await Promise.all([
    readPast(selection, past, moment, context).catch((error: unknown) => {
      degraded.push(noteOf(giveUp(error)))
      return undefined
    }),
    readLive(selection, live, moment, context),
  ])
  if (past !== undefined && fromHistory === undefined) {
    segments = [{ ...range, source: 'speed' }]
    for (const entry of await readLive(selection, [past], moment, context)) fromSpeed.push(entry)
  }
  const isLive = segments.some(({ source }) => source === 'speed')
  const asOf: Record<Source, number | undefined> = {
    speed: isLive ? (await moment.progress()).asOfMs(cut.width) : undefined,
    history: snapshot?.run.watermarkMs,
  }
  return {
    minutes: new Map([...(fromHistory ?? []), ...fromSpeed]),
    sidesOf(range) {
      const answered = segments.find(({ source }) => source === 'history')
      return splitRange(range, MINUTE_MS, answered).map(({ source, toMs }) => ({
        source,
        toMs,
        asOfMs: asOf[source],
      }))
    },
    asOfMs: isLive ? asOf.speed : asOf.history,
    isLive,
    historyToMs: snapshot?.run.completeToMs,
    degraded,
  }
}

async function readPast(
  selection: Selection,
  segment: Segment | undefined,
  moment: Moment,
  { history }: ReadingContext,
): Promise<MergedMinutes | undefined> {
  const { snapshot } = moment
  if (segment === undefined || snapshot === undefined || history === undefined) return undefined
  try {
    return await history.minutes.read(selection, segment, snapshot, moment.historyTimeoutMs)
  } catch (error) {
    // A busy or slow warehouse still has the snapshot; after anything else another one is opened.
    const code = error instanceof BackhaulError ? error.code : undefined
    if (code !== 'SERVING_HISTORY_BUSY' && code !== 'SERVING_TIMEOUT')
      history.discard(snapshot, error)
    throw error
  }
}

async function readLive(
  selection: Selection,
  segments: readonly Segment[],
  moment: Moment,
  { reader }: ReadingContext,
): Promise<(readonly [number, MergedMinute])[]> {
  if (segments.length === 0) return []
  const progress = await moment.progress()
  const { cut } = selection
  const keys = cut.dimensions.length === 0 ? undefined : pinnedKeys(selection)
  const read = await Promise.all(
    segments.map(({ fromMs, toMs }) =>
      reader.readMinutes({ cut, fromMs, toMs, ...(keys === undefined ? {} : { keys }) }, progress),
    ),
  )
  return read.flatMap((minutes) => [...minutes])
}

/** A question that is too large is the asker's to change; all else the history answers for. */
function giveUp(error: unknown): BackhaulError {
  if (error instanceof BackhaulError && error.code === 'SERVING_QUERY_TOO_LARGE') throw error
  return unavailable(error)
}

function cutMissing(cut: Cut): BackhaulError {
  return servingErrors.create('SERVING_HISTORY_CUT_MISSING', {
    expected: 'the cut in the history of the whole range',
    received: cut.id,
  })
}

function noteOf({ code, message }: BackhaulError): Degraded {
  return { code, detail: message }
}
