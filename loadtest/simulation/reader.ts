/**
 * Whoever looks at the live view while processors come and go: it reads the minutes as the serving
 * API does, and no count that it was shown may be lower the next time.
 */
import { COUNTER_NAMES, type MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import { paneLifeOf, type FoldLimits } from '../../shared/qoe/fold.ts'
import { readProgress } from '../../shared/speed/generations.ts'
import { mergeMinuteRows } from '../../shared/speed/row-merge.ts'
import type { MemorySpeedStore } from './memory-speed-store.ts'

export class Reader {
  readonly #speed: MemorySpeedStore
  readonly #partitions: number
  readonly #paneLifeMs: number
  #shown = new Map<string, MinuteAggregates>()

  constructor(speed: MemorySpeedStore, partitions: number, limits: FoldLimits) {
    this.#speed = speed
    this.#partitions = partitions
    this.#paneLifeMs = paneLifeOf(limits)
  }

  /** Looks at the cut without dimensions, and says what went back since the last time. */
  look(): string[] {
    const rows = [...this.#speed.minutes.values()].filter(({ cut }) => cut === 'total')
    const said = [...this.#speed.partitions.values()]
    const progress = readProgress(said, this.#partitions, this.#paneLifeMs)
    const shown = new Map<string, MinuteAggregates>()
    for (const [minuteStartMs, keys] of mergeMinuteRows(rows, 'narrow', progress))
      for (const [key, aggregates] of keys) shown.set(`${key} at ${minuteStartMs}`, aggregates)
    const before = this.#shown
    this.#shown = shown
    return [...before].flatMap(([name, values]) =>
      COUNTER_NAMES.filter((counter) => (shown.get(name)?.[counter] ?? 0) < values[counter]).map(
        (counter) => `a reader saw ${counter} of ${name} go back from ${values[counter]}`,
      ),
    )
  }
}
