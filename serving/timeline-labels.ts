/** Labels for the events of a session's frames: what the fold did with each, and when it was. */
import type { FrameRecord } from '../shared/log/record.ts'
import { clampCorrected, correctedMs } from '../shared/qoe/clock-offset.ts'
import type { FoldLimits } from '../shared/qoe/fold.ts'
import { createPartitionFold } from '../shared/qoe/partition-fold.ts'
import { isOver, nextState } from '../shared/qoe/state-machine.ts'
import type { FoldException, PlaybackState, SessionRow } from '../shared/speed/rows.ts'
import type { TimelineEntry } from './api-schemas.ts'

/** An entry under way; `contentId` is that of its frame. */
export interface Draft {
  entry: TimelineEntry
  readonly contentId: string | undefined
}

const OUTPUTS_PER_DRAIN = 1_000

/**
 * `frames` ascending by offset, all of one session row. `closingLoggedAtMs` is the log's time at
 * the row's last change, where a later record of another session brought it about. Entries come
 * back ascending by seq, then by offset.
 */
export function labelFrames(
  row: SessionRow,
  frames: readonly FrameRecord[],
  closingLoggedAtMs: number | undefined,
  limits: FoldLimits,
): TimelineEntry[] {
  const setAside = runFold(row, frames, closingLoggedAtMs, limits)
  const drafts = frames.flatMap((frame) => draftFrame(frame, row.clockOffsetMs, limits))
  const seen = new Set<number>()
  for (const draft of drafts) {
    const { seq, offset } = draft.entry
    const reason = setAside.reasons.get(nameOf(seq, offset))
    if (reason !== undefined) draft.entry.status = reason
    else if (seen.has(seq)) draft.entry.status = 'duplicate'
    seen.add(seq)
  }
  drafts.sort(inTimelineOrder)
  const applied = drafts.filter(({ entry }) => entry.status === 'applied')
  // Events apply in seq order, so what still waits has the highest seqs.
  const waiting = applied.splice(applied.length - Math.min(applied.length, setAside.waiting))
  for (const draft of waiting) draft.entry.status = 'waiting'
  replayStates(applied, limits)
  return drafts.map(({ entry }) => entry)
}

interface SetAside {
  readonly reasons: ReadonlyMap<string, FoldException['reason']>
  /** Events that wait for a lower seq at the row's log position. */
  readonly waiting: number
}

/** The fold over this session alone, without cuts: what does it set aside? */
function runFold(
  row: SessionRow,
  frames: readonly FrameRecord[],
  closingLoggedAtMs: number | undefined,
  limits: FoldLimits,
): SetAside {
  const { view, topicEpoch, partition, generation } = row
  const fold = createPartitionFold({
    origin: { view, topicEpoch, partition, generation },
    limits,
    cuts: [],
    rowRetentionMs: 0,
  })
  const reasons = new Map<string, FoldException['reason']>()
  const drain = () => {
    for (;;) {
      const outputs = fold.pendingOutputs(OUTPUTS_PER_DRAIN)
      if (outputs.length === 0) return
      for (const output of outputs)
        if (output.kind === 'exception')
          reasons.set(
            nameOf(output.exception.seq, output.exception.offset),
            output.exception.reason,
          )
      fold.acknowledgeOutputs(outputs.length)
    }
  }
  for (const frame of frames) {
    fold.apply(frame)
    drain()
  }
  if (closingLoggedAtMs !== undefined) {
    fold.apply({ kind: 'tick', offset: row.lastOffset, loggedAtMs: closingLoggedAtMs })
    drain()
  }
  return { reasons, waiting: fold.status.counters.buffered }
}

/** The events of one frame, accepted ones first, then the seqs that the gateway had refused. */
function draftFrame(frame: FrameRecord, sessionOffsetMs: number, limits: FoldLimits): Draft[] {
  const { receivedAtMs, loggedAtMs, offset, context } = frame
  const place = { receivedAtMs, loggedAtMs, offset }
  const frameOffsetMs = receivedAtMs - frame.sentAtMs
  const accepted = frame.events.map(({ seq, at, type, ...fields }): Draft => {
    const corrected = correctedMs(
      { atMs: at, frameOffsetMs, receivedAtMs },
      sessionOffsetMs,
      limits,
    )
    const eventTimeMs = Math.round(clampCorrected(corrected, receivedAtMs, limits))
    return {
      contentId: context.contentId,
      entry: { seq, type, eventTimeMs, status: 'applied', atMs: at, ...place, fields },
    }
  })
  const rejected = frame.rejectedSeqs.map((seq): Draft => ({
    contentId: context.contentId,
    entry: {
      seq,
      type: 'rejected',
      eventTimeMs: receivedAtMs,
      status: 'rejected',
      ...place,
      fields: {},
    },
  }))
  return [...accepted, ...rejected]
}

/** Ascending by seq, then by offset; within a frame as it stands. */
export function inTimelineOrder(a: Draft, b: Draft): number {
  return a.entry.seq - b.entry.seq || a.entry.offset - b.entry.offset
}

/** Session times never run backwards; each applied event gets the state after it, and its part. */
export function replayStates(applied: readonly Draft[], limits: FoldLimits): void {
  let state: PlaybackState = 'idle'
  let part = 0
  let contentId: string | undefined
  let previousMs: number | undefined
  for (const draft of applied) {
    const { entry } = draft
    if (contentId !== undefined && draft.contentId !== undefined && draft.contentId !== contentId) {
      part++
      state = 'idle'
    }
    contentId = draft.contentId ?? contentId
    entry.eventTimeMs = Math.max(entry.eventTimeMs, previousMs ?? entry.eventTimeMs)
    const timedOut =
      previousMs !== undefined && entry.eventTimeMs - previousMs > limits.sessionTimeoutMs
    if (timedOut && !isOver(state)) state = 'ended'
    state = nextState(state, entry.type as Parameters<typeof nextState>[1]) ?? state
    previousMs = entry.eventTimeMs
    entry.state = state
    entry.part = part
  }
}

function nameOf(seq: number, offset: number): string {
  return `${seq}@${offset}`
}
