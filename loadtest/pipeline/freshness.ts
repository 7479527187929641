/**
 * How long after its append a record's events could be read in a minute row. A row tells the last
 * record that changed it, so what is seen of a key's rows of a partition at one moment says which
 * records are in them.
 */

/** Of a cut's key and a partition of the log. */
interface Sightings {
  readonly atMs: number[]
  readonly lastOffsets: number[]
  /** The first sighting that may hold the next record. */
  next: number
}

/** Weighed by events. What was never seen is as old as can be told. */
export interface Freshness {
  readonly events: number
  /** Never seen in a row, or only later than can be told. */
  readonly unseen: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface SeenRecord {
  readonly partition: number
  readonly offset: number
  /** Append time, epoch ms. */
  readonly loggedAtMs: number
  readonly events: number
  /** Key of the cut. */
  readonly key: string
}

export const DELAY_MAX_MS = 10 * 60_000
const SECOND_MS = 1_000

export class FreshnessOfCut {
  readonly #sightings = new Map<string, Sightings>()
  /** Events by append time in seconds, then by delay in ms. */
  readonly #delays = new Map<number, Map<number, number>>()

  /** That at `atMs` a row of this key was changed last by the record at `lastOffset`. */
  saw(partition: number, key: string, lastOffset: number, atMs: number): void {
    const place = `${partition} ${key}`
    const known = this.#sightings.get(place)
    if (known === undefined) {
      this.#sightings.set(place, { atMs: [atMs], lastOffsets: [lastOffset], next: 0 })
      return
    }
    if (lastOffset <= (known.lastOffsets.at(-1) ?? -1)) return
    known.atMs.push(atMs)
    known.lastOffsets.push(lastOffset)
  }

  /** Records of a partition come in order, after everything was seen. */
  take({ partition, offset, loggedAtMs, events, key }: SeenRecord): void {
    const known = this.#sightings.get(`${partition} ${key}`)
    let delayMs = DELAY_MAX_MS
    if (known !== undefined) {
      while ((known.lastOffsets[known.next] ?? Infinity) < offset) known.next += 1
      const seenAtMs = known.atMs[known.next]
      if (seenAtMs !== undefined)
        delayMs = Math.min(DELAY_MAX_MS, Math.max(0, Math.round(seenAtMs - loggedAtMs)))
    }
    const second = Math.floor(loggedAtMs / SECOND_MS)
    const ofSecond = this.#delays.get(second) ?? new Map<number, number>()
    this.#delays.set(second, ofSecond)
    ofSecond.set(delayMs, (ofSecond.get(delayMs) ?? 0) + events)
  }

  /** Of what was appended from `fromMs` to `toMs`, to a second. */
  between(fromMs: number, toMs: number): Freshness {
    const delays = new Map<number, number>()
    for (const [second, ofSecond] of this.#delays) {
      if (second * SECOND_MS < fromMs || second * SECOND_MS >= toMs) continue
      for (const [delayMs, events] of ofSecond)
        delays.set(delayMs, (delays.get(delayMs) ?? 0) + events)
    }
    const ascending = [...delays].toSorted(([a], [b]) => a - b)
    const events = ascending.reduce((sum, [, count]) => sum + count, 0)
    const quantile = (p: number) => {
      let left = Math.ceil(events * p)
      return ascending.find(([, count]) => (left -= count) <= 0)?.[0] ?? 0
    }
    const unseen = delays.get(DELAY_MAX_MS) ?? 0
    return { events, unseen, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }
  }
}
