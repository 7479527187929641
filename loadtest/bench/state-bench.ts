/**
 * What a live session takes of the fold's memory: many sessions with a full context, each in the
 * middle of a playback, all rows acknowledged, the garbage collected.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { encodeFrameRecord, decodeRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import type { LogRecord } from '../../shared/log/event-log.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { createBenchFold, takeAll, TAKE_EVERY_RECORDS } from './fold-bench.ts'
import { perEvent, type BenchResult } from './results.ts'

export const STATE_BYTES = 'state bytes a session'

const START_MS = 1_795_000_000_000
/** Every session sends a frame in each round, ms. */
const ROUND_MS = 10_000

export function benchState(framesPerSession: number, sessions: number): BenchResult {
  const fold = createBenchFold()
  const bytesBefore = liveBytes()
  const startMs = systemClock.monotonicMs()
  const cpuStart = process.cpuUsage()
  for (let offset = 0; offset < framesPerSession * sessions; offset += 1) {
    fold.apply(decodeRecord(liveSessionRecord(offset, sessions)))
    if (offset % TAKE_EVERY_RECORDS === 0) takeAll(fold)
  }
  takeAll(fold)
  const cpu = process.cpuUsage(cpuStart)
  const wallMs = systemClock.monotonicMs() - startMs
  const bytes = liveBytes() - bytesBefore
  if (fold.status.openSessions !== sessions) throw new Error('every session must be live')
  return perEvent(
    `fold and rows of ${sessions.toLocaleString('en')} live sessions, 1 event a frame`,
    framesPerSession * sessions,
    { wallMs, cpuMs: (cpu.user + cpu.system) / 1_000 },
    { [STATE_BYTES]: Math.round(bytes / sessions) },
  )
}

/** The record at an offset of a log in which so many sessions play, and take turns. */
export function liveSessionRecord(offset: number, sessions: number): LogRecord {
  const session = offset % sessions
  const frame = Math.floor(offset / sessions)
  const atMs = START_MS + frame * ROUND_MS + Math.floor((session * ROUND_MS) / sessions)
  const value = encodeFrameRecord({
    contextJson: Buffer.from(contextJson(session)),
    sentAtMs: atMs + 100,
    receivedAtMs: atMs + 120,
    rejectedSeqs: [],
    events: [Buffer.from(eventJson(frame, atMs))],
  })
  const headers = { schema: FRAME_SCHEMA }
  return { partition: 0, offset, loggedAtMs: atMs + 130, key: undefined, value, headers }
}

function eventJson(seq: number, at: number): string {
  if (seq === 0) return JSON.stringify({ seq, type: 'playbackRequest', at })
  if (seq === 1) return JSON.stringify({ seq, type: 'playbackStart', at, playheadMs: 0 })
  return JSON.stringify({ seq, type: 'heartbeat', at, playheadMs: seq * ROUND_MS, bufferMs: 9_000 })
}

/** As enriched by the gateway; session and viewer are all that no two sessions share. */
function contextJson(session: number): string {
  const digits = session.toString(16).padStart(12, '0')
  return JSON.stringify({
    sessionId: `9d0c7a52-71b4-4c7e-8f6e-${digits}`,
    contentId: `content-${session % 200}`,
    contentTitle: `The Title of Content ${session % 200}`,
    streamType: 'vod',
    streamingFormat: 'hls',
    cdn: `cdn-${session % 3}`,
    device: {
      type: ['tv', 'phone', 'desktop', 'tablet'][session % 4],
      os: 'os',
      osVersion: '17.1',
    },
    player: { name: ['hls.js', 'shaka'][session % 2], version: `${session % 5}.0` },
    app: { name: 'app', version: '1.2.3' },
    country: ['DE', 'FR', 'US'][session % 3],
    viewerPseudonym: `${digits}00000000${digits}`,
  })
}

/** Bytes in use after a full collection, typed arrays included. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
