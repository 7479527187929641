/**
 * Merged minutes of a window that slides forward. Distinct viewers and concurrency cannot be taken
 * out of a sum again, so the window is two stacks: `older` holds the sum from each minute to its
 * end, `newer` one growing sum. A minute is merged twice however many windows it lies in.
 */
import { MINUTE_MS, type MinuteAggregates } from '../shared/qoe/aggregates.ts'
import { mergeMinutes } from '../shared/qoe/merge.ts'
import type { MinuteRange } from './qoe-query.ts'

interface Entry {
  readonly startMs: number
  readonly sum: MinuteAggregates
}

/** Gives the at most two parts that make up a window; windows are asked for in order of time. */
export function slidingMinutes(
  minutes: ReadonlyMap<number, MinuteAggregates>,
): (window: MinuteRange) => MinuteAggregates[] {
  /** Oldest minute last; each sum has all later minutes of the stack. */
  let older: Entry[] = []
  let newer: Entry[] = []
  let newerSum: MinuteAggregates | undefined
  let addedToMs = 0

  function add({ fromMs, toMs }: MinuteRange): void {
    for (let startMs = Math.max(fromMs, addedToMs); startMs < toMs; startMs += MINUTE_MS) {
      const sum = minutes.get(startMs)
      if (sum === undefined) continue
      newer.push({ startMs, sum })
      newerSum = newerSum === undefined ? sum : mergeMinutes([newerSum, sum])
    }
    addedToMs = toMs
  }

  function turnOver(): void {
    for (const { startMs, sum } of newer.toReversed()) {
      const later = older.at(-1)
      older.push({ startMs, sum: later === undefined ? sum : mergeMinutes([sum, later.sum]) })
    }
    newer = []
    newerSum = undefined
  }

  return (window) => {
    add(window)
    const isPast = (entry: Entry | undefined) =>
      entry !== undefined && entry.startMs < window.fromMs
    older = dropWhile(older, isPast)
    if (older.length === 0 && isPast(newer[0])) {
      turnOver()
      older = dropWhile(older, isPast)
    }
    return [older.at(-1)?.sum, newerSum].filter((part) => part !== undefined)
  }
}

/** Takes from the end of a stack what has left the window. */
function dropWhile(stack: Entry[], isPast: (entry: Entry | undefined) => boolean): Entry[] {
  while (isPast(stack.at(-1))) stack.pop()
  return stack
}
