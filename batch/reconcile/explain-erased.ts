/**
 * Differences that follow from erasures: the live minutes count a viewer whom the history has
 * forgotten. The proof is that of any other cause, the SQL with exactly the erased records that the
 * log still holds. What the log has forgotten too can be proven by nobody: there a live value that
 * is no smaller than what the history says is told as not comparable.
 */
import { COUNTER_NAMES, type MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { RESTORED, scratchErased, type Erased, type ErasedParts } from './erased.ts'
import { scratchExceptions } from './exclusions.ts'
import { explain, type ExplainRequest, type MinuteDefect, type Unexplained } from './explain.ts'
import { both } from './late.ts'
import type { SessionDifference } from './sessions.ts'

export interface ErasedRequest extends ErasedParts {
  readonly view: string
  readonly explain: ExplainRequest
}

export interface WithoutErased {
  readonly defects: Unexplained
  /** Differences that the erased records explain. */
  readonly erased: Counts
  /** Differences that nobody can judge any more. */
  readonly undecided: Counts
}

interface Counts {
  readonly minutes: number
  readonly sessions: number
}

const NONE: Counts = { minutes: 0, sessions: 0 }

export async function explainErased(
  session: WarehouseSession,
  unexplained: Unexplained,
  request: ErasedRequest,
): Promise<WithoutErased> {
  const nothing = { defects: unexplained, erased: NONE, undecided: NONE }
  if (unexplained.minutes.length + unexplained.sessions.length === 0) return nothing
  const erased = await scratchErased(session, request)
  if (erased === undefined) return nothing
  await scratchExceptions(session, { ...request, erased: erased.sessions }, request.asOf)
  const rest = await explain(session, unexplained, {
    ...request.explain,
    restored: both({ ...RESTORED, sessions: erased.sessions }, request.explain.restored),
  })
  const minutes = rest.minutes.filter((defect) => !isUndecidedMinute(erased, defect))
  const sessions = rest.sessions.filter((defect) => !isUndecidedSession(erased, defect))
  return {
    defects: { minutes, sessions },
    erased: {
      minutes: unexplained.minutes.length - rest.minutes.length,
      sessions: unexplained.sessions.length - rest.sessions.length,
    },
    undecided: {
      minutes: rest.minutes.length - minutes.length,
      sessions: rest.sessions.length - sessions.length,
    },
  }
}

/** More of everything than without whoever was erased. */
function isUndecidedMinute({ heldFromMs }: Erased, { minuteMs, live, expected }: MinuteDefect) {
  if (minuteMs >= heldFromMs) return false
  return amountsOf(live).every((amount, index) => amount >= (amountsOf(expected)[index] ?? 0))
}

function amountsOf(aggregates: MinuteAggregates): (number | bigint)[] {
  const { bitsPlayed, concurrentPlays, concurrentViewers } = aggregates
  const counters = COUNTER_NAMES.map((name) => aggregates[name])
  return [...counters, bitsPlayed, ...concurrentPlays, ...concurrentViewers]
}

/** The fold wrote the row of a session again that is forgotten. */
function isUndecidedSession(
  { erasures, heldFromMs }: Erased,
  { sessionId, liveRow, history }: SessionDifference,
): boolean {
  if (liveRow === undefined || history !== undefined) return false
  const { firstReceivedAtMs: atMs } = liveRow
  return atMs < heldFromMs && erasures.covers({ sessionId, atMs })
}
