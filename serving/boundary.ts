/**
 * Live ∪ history. The minutes that history covers, up to the batch-complete boundary, are answered
 * from there, all others from the speed store; while no batch has completed all is live. What is
 * covered is narrowed to whole steps, so that no bucket mixes both and each comes from one side.
 */
import type { MinuteRange } from './qoe-query.ts'

export type Source = 'speed' | 'history'

export interface Segment extends MinuteRange {
  readonly source: Source
}

/** Splits `range`, whose ends lie on whole steps, into segments that adjoin, in order. */
export function splitRange(
  range: MinuteRange,
  stepMs: number,
  covered: MinuteRange | undefined,
): readonly Segment[] {
  const within = (valueMs: number) => Math.min(Math.max(valueMs, range.fromMs), range.toMs)
  const historyToMs = covered && within(Math.floor(covered.toMs / stepMs) * stepMs)
  const historyFromMs = covered && within(Math.ceil(covered.fromMs / stepMs) * stepMs)
  if (historyFromMs === undefined || historyToMs === undefined || historyToMs <= historyFromMs)
    return [{ source: 'speed', ...range }]
  const segments: Segment[] = [
    { source: 'speed', fromMs: range.fromMs, toMs: historyFromMs },
    { source: 'history', fromMs: historyFromMs, toMs: historyToMs },
    { source: 'speed', fromMs: historyToMs, toMs: range.toMs },
  ]
  return segments.filter(({ fromMs, toMs }) => fromMs < toMs)
}
