/**
 * Judges what an independent reader found in the log by what was sent, with `JSON.parse` and nothing
 * of the product: sessions send dense seqs from 0, so a count says which events there are.
 */
import type { ReadBackRecord } from './read-back.ts'

export interface Delivery {
  /** Distinct events of these sessions. */
  readonly kept: number
  /** Times that an event is in the log again. */
  readonly repeated: number
  /** Sent and acknowledged, and not in the log. */
  readonly missing: readonly string[]
  /** In the log under one of these sessions and never sent by it. */
  readonly invented: readonly string[]
  /** Seqs that came for the first time before one that is smaller. */
  readonly skipped: readonly string[]
}

interface Value {
  readonly session: { readonly sessionId: string }
  readonly events: readonly { readonly seq: number }[]
}

/**
 * `acknowledged` says how many events of each session were sent and acknowledged, seqs 0 to that.
 * Records of other sessions, whose names do not begin with `prefix`, are nobody's business here.
 */
export function judgeDelivery(
  acknowledged: ReadonlyMap<string, number>,
  records: Iterable<Pick<ReadBackRecord, 'value'>>,
  prefix: string,
): Delivery {
  const seen = new Map<string, Set<number>>()
  const invented: string[] = []
  const skipped: string[] = []
  let events = 0
  for (const { value } of records) {
    if (!value.startsWith('{')) continue
    const { session, events: found } = JSON.parse(value) as Value
    const { sessionId } = session
    if (!sessionId.startsWith(prefix)) continue
    const seqs = seen.get(sessionId) ?? new Set()
    seen.set(sessionId, seqs)
    for (const { seq } of found) {
      const name = `${sessionId} ${seq}`
      events += 1
      if (seq >= (acknowledged.get(sessionId) ?? 0)) invented.push(name)
      else if (!seqs.has(seq) && seq !== seqs.size) skipped.push(name)
      seqs.add(seq)
    }
  }
  const missing: string[] = []
  for (const [sessionId, count] of acknowledged)
    for (let seq = 0; seq < count; seq++)
      if (seen.get(sessionId)?.has(seq) !== true) missing.push(`${sessionId} ${seq}`)
  const kept = [...seen.values()].reduce((sum, { size }) => sum + size, 0)
  return { kept, repeated: events - kept, missing, invented, skipped }
}
