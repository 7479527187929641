/**
 * The audience of docs/analysts.md: two evenings, a week apart, each taken by a run of its own. Most
 * of it is simulated, so that every session's metrics are known from its plan; what no simulated
 * viewer does is done by one session that is written out by hand.
 */
import { createHash } from 'node:crypto'
import { CALM_DELIVERY, deliver } from '../../loadtest/simulator/delivery.ts'
import {
  simulateAudience,
  type SimulatedSession,
} from '../../loadtest/simulator/simulate-audience.ts'
import { Catalogue } from '../../shared/content/catalogue.ts'
import type { ContentSource } from '../../shared/content/content-source.ts'
import type { PlaybackEvent } from '../../shared/events/schema.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, encodeTick, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { BatchMachine, PARTITIONS } from './batch-machine.ts'

/** In the second, somebody fails before a start and after one, gives up, and leaves after a stall. */
const EVENINGS = [
  { startAtMs: Date.parse('2026-11-10T19:00:00Z'), seed: 11, repeatChance: 0 },
  { startAtMs: Date.parse('2026-11-17T19:00:00Z'), seed: 33, repeatChance: 0.1 },
]
const SESSIONS = 60
const SETTINGS = { BATCH_RAW_FILE_BYTES: '16777216' }

export const HAND_WORKED = 'hand-worked'
const HAND_WORKED_CONTENT = 'channel-99'
export const HAND_WORKED_AT_MS = Date.parse('2026-11-17T20:30:00Z')
/**
 * Of a live channel: a start of 2 s, an ad break of 15 s, one that never ends, two latencies, a
 * stall, and a departure 10 s after it. The event 7 is lost.
 */
const HAND_EVENTS: readonly (readonly [number, number, Readonly<Record<string, unknown>>])[] = [
  [0, 0, { type: 'playbackRequest' }],
  [1, 2_000, { type: 'playbackStart' }],
  [2, 2_000, { type: 'renditionUpdate', videoBitrateKbps: 3_000, audioBitrateKbps: 128 }],
  [3, 5_000, { type: 'adBreakStart', position: 'pre' }],
  [4, 20_000, { type: 'adBreakEnd', position: 'pre' }],
  [5, 25_000, { type: 'heartbeat', liveLatencyMs: 4_000 }],
  [6, 30_000, { type: 'adBreakStart', position: 'mid' }],
  [8, 40_000, { type: 'heartbeat', liveLatencyMs: 6_000 }],
  [9, 50_000, { type: 'playbackStall' }],
  [10, 60_000, { type: 'sessionEnd' }],
]

interface Arrival {
  readonly atMs: number
  readonly sentAtMs: number
  readonly context: Readonly<Record<string, unknown>> & { readonly sessionId: string }
  readonly events: readonly PlaybackEvent[]
}

/** Genre of a content, of which each has one; of the channel nothing is known. */
export const genreOf = (contentId: string): string => {
  if (contentId === HAND_WORKED_CONTENT) return 'unknown'
  return (contentId.codePointAt(contentId.length - 1) ?? 0) % 2 === 0 ? 'drama' : 'news'
}
export const DURATION_MS = 600_000

export interface AnalystsAudience {
  readonly machine: BatchMachine
  /** The simulated sessions of each evening. */
  readonly evenings: readonly (readonly SimulatedSession[])[]
  /** Copies that came again in the second evening. */
  readonly duplicates: number
}

export async function openAnalystsAudience(): Promise<AnalystsAudience> {
  const clock = new ManualClock((EVENINGS[0]?.startAtMs ?? 0) - 60_000)
  const machine = await BatchMachine.open({ clock })
  const evenings: (readonly SimulatedSession[])[] = []
  let duplicates = 0
  for (const [index, { startAtMs, seed, repeatChance }] of EVENINGS.entries()) {
    const { sessions } = simulateAudience({
      seed,
      sessions: SESSIONS,
      startAtMs,
      arrivalSpanMs: 80 * 60_000,
      watchMedianMs: 120_000,
      contents: 12,
    })
    evenings.push(sessions)
    const repeats = { repeatChance, repeatAfterMaxMs: 30_000 }
    const frames = deliver(sessions, { ...CALM_DELIVERY, batchMs: 5_000, ...repeats })
    duplicates = frames.reduce(
      (sum, { isRepeat, events }) => sum + (isRepeat ? events.length : 0),
      0,
    )
    const arrivals: Arrival[] = frames.map(({ arrivedAtMs, sentAtMs, context, events }) => {
      const { viewerId = '', ...plain } = context
      return {
        atMs: arrivedAtMs,
        sentAtMs,
        context: { ...plain, viewerPseudonym: pseudonymOf(viewerId) },
        events,
      }
    })
    if (index === 1) arrivals.push(handWorked())
    await play(machine, clock, arrivals)
    await machine.run({ settings: SETTINGS, content: contentOf(evenings.flat()) })
  }
  return { machine, evenings, duplicates }
}

/** What the catalogue says of everything that was played. */
function contentOf(sessions: readonly SimulatedSession[]): ContentSource {
  const catalogue = new Catalogue()
  const ids = sessions.flatMap(({ contexts }) =>
    contexts.flatMap(({ contentId }) => contentId ?? []),
  )
  for (const contentId of new Set(ids)) {
    const version = { validFromMs: 0, title: contentId, durationMs: DURATION_MS }
    catalogue.put({ contentId, versions: [{ ...version, genre: genreOf(contentId) }] })
  }
  return { catalogue, refresh: () => Promise.resolve() }
}

/** Any digest will do. */
export function pseudonymOf(viewerId: string): string {
  return createHash('sha256').update(viewerId).digest('hex').slice(0, 32)
}

function handWorked(): Arrival {
  const atMs = HAND_WORKED_AT_MS + 61_000
  return {
    atMs,
    sentAtMs: atMs,
    context: {
      sessionId: HAND_WORKED,
      contentId: HAND_WORKED_CONTENT,
      contentTitle: 'Channel 99',
      streamType: 'live',
      cdn: 'handmade',
      device: { type: 'projector' },
      player: { name: 'hand', version: '1' },
      country: 'IS',
      viewerPseudonym: pseudonymOf(HAND_WORKED),
    },
    events: HAND_EVENTS.map(
      ([seq, afterMs, fields]) =>
        ({ seq, at: HAND_WORKED_AT_MS + afterMs, ...fields }) as unknown as PlaybackEvent,
    ),
  }
}

/** Appends the frames when their time comes; then everything times out. */
async function play(
  machine: BatchMachine,
  clock: ManualClock,
  arrivals: readonly Arrival[],
): Promise<void> {
  const { log } = machine.ports
  for (const arrival of arrivals.toSorted((a, b) => a.atMs - b.atMs)) {
    const { atMs, sentAtMs, context, events } = arrival
    if (atMs > clock.nowMs()) await clock.advance(atMs - clock.nowMs())
    const value = encodeFrameRecord({
      contextJson: Buffer.from(JSON.stringify(context)),
      sentAtMs,
      receivedAtMs: atMs,
      rejectedSeqs: [],
      events: events.map((event) => Buffer.from(JSON.stringify(event))),
    })
    await log.append(TOPICS.events, partitionOf(context.sessionId, PARTITIONS), [
      { key: context.sessionId, value, headers: { schema: FRAME_SCHEMA } },
    ])
  }
  await clock.advance(40 * 60_000)
  for (let partition = 0; partition < PARTITIONS; partition += 1)
    await log.append(TOPICS.events, partition, [encodeTick()])
}
