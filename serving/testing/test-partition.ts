/** A partition for the tests of serving: its log, its fold, and the rows that serving reads. */
import type { EnrichedContext } from '../../shared/events/schema.ts'
import {
  decodeRecord,
  encodeFrameRecord,
  encodeTick,
  FRAME_SCHEMA,
} from '../../shared/log/record.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { createPartitionFold } from '../../shared/qoe/partition-fold.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { sessionResponseSchema } from '../api-schemas.ts'
import type { ContentLookup } from '../content-feed.ts'
import { DEFAULT_SERVING_LIMITS, type ServingLimits } from '../limits.ts'
import { createSessionsApi, parseSessionQuery, type SessionsApi } from '../sessions.ts'
import { MemoryEventLog, MemorySpeedStore, TEST_VIEW } from './test-stores.ts'

/** Where the clock of a partition stands. */
export const TEST_EPOCH_MS = Date.parse('2026-03-01T12:00:00Z')
const encoder = new TextEncoder()

export interface TestFrame {
  /** When the log appends it; the gateway receives it 10 ms earlier. */
  readonly loggedAtMs: number
  readonly sentAtMs?: number
  readonly context?: Partial<EnrichedContext>
  readonly events?: readonly { readonly seq: number; readonly type: string; readonly at: number }[]
  readonly rejectedSeqs?: readonly number[]
}

/** One partition of a real log and fold: frames in, rows and records where serving reads them. */
export class TestPartition {
  readonly speed = new MemorySpeedStore()
  readonly log = new MemoryEventLog()
  readonly clock = new ManualClock(TEST_EPOCH_MS)
  readonly #fold = createPartitionFold({
    origin: { view: TEST_VIEW, topicEpoch: 0, partition: 0, generation: 0 },
    limits: DEFAULT_FOLD_LIMITS,
    cuts: [],
    rowRetentionMs: 90 * 86_400_000,
  })
  #offset = 0

  frame(frame: TestFrame): this {
    const context = { sessionId: 's-1', contentId: 'movie-1', cdn: 'cdn-a', ...frame.context }
    const receivedAtMs = frame.loggedAtMs - 10
    return this.#append(frame.loggedAtMs, {
      headers: { schema: FRAME_SCHEMA },
      value: encodeFrameRecord({
        contextJson: encoder.encode(JSON.stringify(context)),
        sentAtMs: frame.sentAtMs ?? receivedAtMs,
        receivedAtMs,
        rejectedSeqs: frame.rejectedSeqs ?? [],
        events: (frame.events ?? []).map((event) => encoder.encode(JSON.stringify(event))),
      }),
    })
  }

  tick(loggedAtMs: number): this {
    return this.#append(loggedAtMs, encodeTick())
  }

  #append(
    loggedAtMs: number,
    made: { value: Uint8Array; headers: Readonly<Record<string, string>> },
  ): this {
    const record = { partition: 0, offset: this.#offset++, loggedAtMs, key: 's-1', ...made }
    this.log.put(record)
    this.#fold.apply(decodeRecord(record))
    return this
  }

  /** Writes what changed, as a processor does. */
  async flush(): Promise<void> {
    for (const queue of ['sessionUrgent', 'session'] as const)
      for (const ticket of this.#fold.takeDirty(queue, 1_000)) {
        if (ticket.kind === 'session') await this.speed.putSessions([ticket.row], ticket.positions)
        this.#fold.acknowledge([ticket])
      }
  }

  api(limits: Partial<ServingLimits> = {}, content?: ContentLookup): SessionsApi {
    return createSessionsApi({
      ...(content === undefined ? {} : { content }),
      speed: this.speed,
      log: this.log.asEventLog(),
      view: TEST_VIEW,
      clock: this.clock,
      limits: { ...DEFAULT_SERVING_LIMITS, ...limits },
      foldLimits: DEFAULT_FOLD_LIMITS,
      history: undefined,
    })
  }

  async show(query = '', limits: Partial<ServingLimits> = {}, content?: ContentLookup) {
    await this.flush()
    const asked = parseSessionQuery('s-1', query, DEFAULT_SERVING_LIMITS)
    const response = await this.api(limits, content).show(asked)
    // Unknown fields would be dropped here, and missed by the tests.
    return sessionResponseSchema.strict().parse(response)
  }
}
