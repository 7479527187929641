/**
 * Rejects once more, after a fix: what the schema of today accepts is appended to `playback.events`
 * as a gateway would have. An event that is in the log already is not appended again, so a replay
 * may be repeated.
 */
import { createContextEnricher, type ContextEnricher } from '../../../shared/events/context.ts'
import type { Pseudonymiser } from '../../../shared/events/identity.ts'
import type { EnrichedContext } from '../../../shared/events/schema.ts'
import type { NewRecord } from '../../../shared/log/event-log.ts'
import { partitionOf } from '../../../shared/log/partitioner.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../../../shared/log/record.ts'
import { encodeReject, type RejectRecord, type Sealer } from '../../../shared/log/reject-record.ts'
import { TOPICS } from '../../../shared/log/topics.ts'
import { type Erasures, listErasures, readErasures } from '../../../shared/objects/erasures.ts'
import { BackhaulError } from '../../../shared/runtime/errors.ts'
import { CONTEXTS_MAX, REPLAY_PAGE_BYTES, REPLAY_PAGE_REJECTS } from '../limits.ts'
import { readSealed, type ReadFrame, type Reading } from './reading.ts'
import { readRejects, type HeldReject, type RejectFilter, type RejectSources } from './rejects.ts'
import { readKnownSessions, type KnownSessions } from './sessions.ts'

export interface ReplayParts extends RejectSources {
  readonly sealer: Sealer
  readonly pseudonymiser: Pseudonymiser
  /** Whether nothing is appended. */
  readonly isDryRun: boolean
  /** Throws when the replay must not go on. */
  assertMayGoOn(): void
  onProgress(done: number): void
}

/**
 * `replayed`: its events are in the log now. `already`: they were in the log before. `erased`: its
 * viewer or session is forgotten.
 * The others cannot be replayed: `kept` (valid by now, but rejected under its seq beside events that
 * were accepted: the seq keeps its place as rejected, decision 0016), `invalid` by the schema,
 * `sealed` (its bytes cannot be opened, or are not all there), `noContext` (no frame of its session was ever accepted).
 */
export type OutcomeKind =
  'replayed' | 'kept' | 'already' | 'erased' | 'invalid' | 'sealed' | 'noContext'

export interface Outcome {
  readonly partition: number
  readonly offset: number
  readonly outcome: OutcomeKind
  readonly events: number
  readonly code?: string
  readonly detail?: string
}

const GATEWAY = 'backhaul-dlq-replay'

export async function* replayRejects(
  given: ReplayParts,
  filter: RejectFilter,
): AsyncGenerator<Outcome> {
  const { pseudonymiser, objects } = given
  const parts = { ...given, erasures: await readErasures(objects, await listErasures(objects)) }
  const contexts = createContextEnricher({ pseudonymiser, cacheEntriesMax: CONTEXTS_MAX })
  let page: HeldReject[] = []
  let bytes = 0
  let done = 0
  for await (const held of readRejects(parts, filter)) {
    page.push(held)
    bytes += held.reject.sealed.length
    if (page.length < REPLAY_PAGE_REJECTS && bytes < REPLAY_PAGE_BYTES) continue
    yield* await replayPage(parts, page, contexts)
    parts.onProgress((done += page.length))
    page = []
    bytes = 0
  }
  yield* await replayPage(parts, page, contexts)
}

interface ReplayWork extends ReplayParts {
  readonly erasures: Erasures
}

interface OpenedReject extends HeldReject {
  readonly reading:
    Reading | { readonly kind: 'sealed'; readonly code: string; readonly detail: string }
}

async function replayPage(
  parts: ReplayWork,
  page: readonly HeldReject[],
  contexts: ContextEnricher,
): Promise<Outcome[]> {
  parts.assertMayGoOn()
  const opened = page.map((held) => ({ ...held, reading: open(parts.sealer, held, contexts) }))
  const session = await parts.warehouse.open()
  let known: KnownSessions
  try {
    const sessionIds = new Set(opened.flatMap(({ reading }) => sessionsOf(reading)))
    known = await readKnownSessions({ ...parts, session }, sessionIds)
  } finally {
    await session.close()
  }
  const outcomes: Outcome[] = []
  for (const reject of opened) {
    parts.assertMayGoOn()
    outcomes.push(await replayOne(parts, reject, known))
  }
  return outcomes
}

function open(
  sealer: Sealer,
  { reject }: HeldReject,
  contexts: ContextEnricher,
): OpenedReject['reading'] {
  if (reject.cutFromBytes !== undefined)
    return {
      kind: 'sealed',
      code: reject.code,
      detail: `it holds the beginning only: all ${reject.cutFromBytes} bytes are in ${whereOf(reject)}`,
    }
  let bytes: Uint8Array
  try {
    bytes = sealer.open(reject.sealed)
  } catch (error) {
    if (!(error instanceof BackhaulError)) throw error
    return { kind: 'sealed', code: error.code, detail: error.detail }
  }
  return readSealed(reject, bytes, contexts)
}

/** Of a record that is too long for the reject topic. */
function whereOf({ source }: RejectRecord): string {
  return `${TOPICS.events}/${source?.partition}, offset ${source?.offset}`
}

function sessionsOf(reading: OpenedReject['reading']): string[] {
  if (reading.kind === 'event') return [reading.sessionId]
  return reading.kind === 'frames' ? reading.frames.map(({ sessionId }) => sessionId) : []
}

async function replayOne(
  parts: ReplayWork,
  held: OpenedReject,
  known: KnownSessions,
): Promise<Outcome> {
  const { partition, offset, reading, reject } = held
  const place = { partition, offset }
  if (reading.kind === 'invalid' || reading.kind === 'sealed') {
    const { kind, code, detail } = reading
    return { ...place, outcome: kind, events: 0, code, detail }
  }
  if (reading.kind === 'frames') {
    const kept = reading.frames.filter((frame) => !isErased(parts.erasures, frame))
    if (kept.length === 0) return { ...place, outcome: 'erased', events: 0 }
    let events = 0
    for (const frame of kept) events += await appendNew(parts, { held, frame, known })
    return { ...place, outcome: events > 0 ? 'replayed' : 'already', events }
  }
  const { sessionId, event } = reading
  if (known.has(sessionId, event.seq)) return { ...place, outcome: 'already', events: 0 }
  const latest = known.latestFrame(sessionId)
  if (latest === undefined)
    return { ...place, outcome: 'noContext', events: 0, detail: `no frame of ${sessionId}` }
  const { receivedAtMs } = reject
  const frame = { ...latest, sessionId, receivedAtMs, events: [event], rejected: [] }
  if (isErased(parts.erasures, frame)) return { ...place, outcome: 'erased', events: 0 }
  if (reject.seq !== undefined) return { ...place, events: 0, ...keptAsRejected(reject) }
  const events = await appendNew(parts, { held, known, frame: { ...frame, isChecked: true } })
  return { ...place, outcome: 'replayed', events }
}

/**
 * A seq that was readable counts as seen, and everything after it was counted on that ground. Another
 * copy would change nothing but arrivals, or begin a session that never was.
 */
function keptAsRejected({ code, sessionId, seq }: RejectRecord) {
  return { outcome: 'kept' as const, code, detail: `${sessionId}/${seq} is valid by now` }
}

function isErased(
  erasures: Erasures,
  frame: Pick<ReadFrame, 'sessionId' | 'contextJson' | 'receivedAtMs'>,
): boolean {
  const { sessionId, contextJson, receivedAtMs } = frame
  const context = JSON.parse(Buffer.from(contextJson).toString()) as EnrichedContext
  const { viewerPseudonym } = context
  return erasures.covers({ sessionId, viewerPseudonym, atMs: receivedAtMs })
}

interface FrameOfReject {
  readonly held: HeldReject
  readonly frame: ReadFrame
  readonly known: KnownSessions
}

/** Appends what is not in the log yet; resolves with how many events that is. */
async function appendNew(
  { log, sealer, isDryRun }: ReplayParts,
  { held, frame, known }: FrameOfReject,
): Promise<number> {
  const { sessionId, contextJson, sentAtMs, receivedAtMs, rejected } = frame
  const events = frame.events.filter(({ seq }) => !known.has(sessionId, seq))
  if (events.length === 0) return 0
  for (const { seq } of events) known.add(sessionId, seq)
  if (isDryRun) return events.length
  const replayOf = `${TOPICS.rejects}/${held.partition}@${held.offset}`
  // Rejects first: whoever repeats the replay after a failure finds the events missing.
  const again = rejected.map(({ seq, code, detail, bytes }): NewRecord => {
    const reason = { stage: 'gateway' as const, code, detail, sessionId, seq, receivedAtMs }
    return {
      key: sessionId,
      value: encodeReject({ ...reason, sealed: sealer.seal(bytes) }),
      headers: { schema: 'reject.v1', gateway: GATEWAY, replayOf },
    }
  })
  const rejectPartitions = (await log.describeTopic(TOPICS.rejects)).partitions
  if (again.length > 0)
    await log.append(TOPICS.rejects, partitionOf(sessionId, rejectPartitions), again)
  const { partitions } = await log.describeTopic(TOPICS.events)
  const value = encodeFrameRecord({
    contextJson,
    sentAtMs,
    receivedAtMs,
    rejectedSeqs: rejected.flatMap(({ seq }) => (seq === undefined ? [] : [seq])),
    events: events.map(({ bytes }) => bytes),
  })
  const headers = { schema: FRAME_SCHEMA, replayOf, ...(frame.isChecked && { gateway: GATEWAY }) }
  await log.append(TOPICS.events, partitionOf(sessionId, partitions), [
    { key: sessionId, value, headers },
  ])
  return events.length
}
