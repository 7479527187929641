/**
 * The panes of a partition: the aggregates of one (cut key, minute), from the first write until
 * the minute is closed and its last row is durable. A minute is decided writable or not by the
 * watermark alone, so a pane is never created again and eviction cannot change a value.
 */
import type { CommonContext } from '../events/common-context.ts'
import type { MinuteRow } from '../speed/rows.ts'
import {
  COUNTER_NAMES,
  INSTANTS_PER_MINUTE,
  MINUTE_MS,
  type CounterName,
  type MinuteAggregates,
} from './aggregates.ts'
import { CarryingSum } from './carrying-sum.ts'
import type { CopyOnWrite, SnapshotEntry } from './copy-on-write.ts'
import { cutKey, OTHER_KEY, type Cut } from './cuts.ts'
import { paneLifeOf, type FoldOptions } from './fold.ts'
import { PaneSums } from './pane-sums.ts'

const NO_COUNTS = Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as Readonly<
  Record<CounterName, number>
>

/**
 * Plain arrays, for a typed one has its numbers at yet another place in memory, and a frame adds to panes of
 * every cut. Begun with what is no small integer, so that the engine keeps numbers in them and no objects.
 */
function zeroes(length: number): readonly number[] {
  const numbers = Array.from({ length }, () => Number.NaN)
  for (let index = 0; index < length; index += 1) numbers[index] = 0
  return numbers
}

const NO_COUNTERS = zeroes(COUNTER_NAMES.length)
const NO_INSTANTS = zeroes(INSTANTS_PER_MINUTE)

export class Pane implements SnapshotEntry {
  readonly cutIndex: number
  readonly key: string
  readonly minuteStartMs: number
  readonly firstOffset: number
  readonly countsViewers: boolean
  lastOffset: number
  savedIn: number
  /** Whether the pane stands in the dirty set of its cut's width. */
  isDirty = false
  /** Rows taken and not yet acknowledged. */
  inFlight = 0
  readonly counters = NO_COUNTERS.slice()
  bitsPlayed = new CarryingSum()
  readonly concurrentPlays = NO_INSTANTS.slice()
  readonly concurrentViewers = NO_INSTANTS.slice()
  readonly startupHistogram = new Map<number, number>()
  readonly viewerRegisters = new Map<number, number>()

  constructor(identity: {
    cutIndex: number
    key: string
    minuteStartMs: number
    firstOffset: number
    countsViewers: boolean
    savedIn: number
  }) {
    this.cutIndex = identity.cutIndex
    this.key = identity.key
    this.minuteStartMs = identity.minuteStartMs
    this.firstOffset = identity.firstOffset
    this.countsViewers = identity.countsViewers
    this.lastOffset = identity.firstOffset
    this.savedIn = identity.savedIn
  }

  add(counter: number, amount: number): void {
    this.counters[counter] = (this.counters[counter] ?? 0) + amount
  }

  addBits(amount: number): void {
    this.bitsPlayed.add(amount)
  }

  addInstant(index: number, plays: number, viewers: number): void {
    this.concurrentPlays[index] = (this.concurrentPlays[index] ?? 0) + plays
    this.concurrentViewers[index] = (this.concurrentViewers[index] ?? 0) + viewers
  }

  aggregates(): MinuteAggregates {
    // A copy of one shape for all rows: built name by name, each would be a dictionary.
    const counters: Record<CounterName, number> = { ...NO_COUNTS }
    for (let index = 0; index < COUNTER_NAMES.length; index++) {
      const name = COUNTER_NAMES[index]
      if (name !== undefined) counters[name] = this.counters[index] ?? 0
    }
    return {
      ...counters,
      bitsPlayed: this.bitsPlayed.total,
      startupHistogram: ascending(this.startupHistogram),
      concurrentPlays: [...this.concurrentPlays],
      concurrentViewers: [...this.concurrentViewers],
      viewerRegisters: ascending(this.viewerRegisters),
    }
  }

  serialise(): string {
    return JSON.stringify({
      k: 'pane',
      cut: this.cutIndex,
      key: this.key,
      at: this.minuteStartMs,
      first: this.firstOffset,
      last: this.lastOffset,
      n: this.counters,
      bits: this.bitsPlayed.total.toString(),
      plays: this.concurrentPlays,
      viewers: this.concurrentViewers,
      startups: ascending(this.startupHistogram),
      registers: ascending(this.viewerRegisters),
    })
  }
}

export interface SerialisedPane {
  readonly cut: number
  readonly key: string
  readonly at: number
  readonly first: number
  readonly last: number
  readonly n: readonly number[]
  readonly bits: string
  readonly plays: readonly number[]
  readonly viewers: readonly number[]
  readonly startups: readonly (readonly [number, number])[]
  readonly registers: readonly (readonly [number, number])[]
}

function ascending(map: ReadonlyMap<number, number>): [number, number][] {
  return [...map].sort((a, b) => a[0] - b[0])
}

/** Why a minute is still in the state; it goes once it waits for nothing any more. */
export interface HeldMinute {
  readonly minuteStartMs: number
  /** Whether events may still be added. */
  readonly isWritable: boolean
  readonly writableUntilWatermarkMs: number
  /** Open sessions whose last event is in it; what they lost is counted here at their close. */
  readonly heldBySessions: number
  readonly rowsNotDurable: number
}

interface MinutePanes {
  minuteStartMs: number
  panes: readonly Pane[]
}

const NO_PANES: readonly Pane[] = []

/** The keys of every cut for one set of dimension values; shared by all sessions that have them. */
export class KeySet {
  readonly keys: readonly string[]
  /**
   * The panes last used, of an even and of an odd minute, because a frame mostly touches two that
   * follow each other; a minute's panes stay the same while it is writable.
   */
  readonly #evenMinute: MinutePanes = { minuteStartMs: Number.NaN, panes: NO_PANES }
  readonly #oddMinute: MinutePanes = { minuteStartMs: Number.NaN, panes: NO_PANES }

  constructor(keys: readonly string[]) {
    this.keys = keys
  }

  lastUsed(minuteStartMs: number): MinutePanes {
    return (minuteStartMs / MINUTE_MS) % 2 === 0 ? this.#evenMinute : this.#oddMinute
  }
}

/** Key sets remembered at most; they hold no state and are made again when needed. */
const KEY_SETS_MAX = 50_000

export class PaneStore {
  readonly #dirty: Readonly<Record<Cut['width'], Set<Pane>>> = {
    narrow: new Set(),
    wide: new Set(),
  }
  /** Minute → one map of keys per cut. */
  readonly #minutes = new Map<number, Map<string, Pane>[]>()
  readonly #keySets = new Map<string, KeySet>()
  /** Minute → open sessions whose last event is in it; their `lost` may still be counted there. */
  readonly #heldMinutes = new Map<number, number>()
  /** Closed minutes whose panes are still here, because a row is not durable yet. */
  readonly #closing = new Set<number>()
  readonly #sums = new PaneSums()
  readonly #copyOnWrite: CopyOnWrite
  readonly #options: FoldOptions
  readonly #paneLifeMs: number
  /** Minutes that end before this are closed; a multiple of a minute. */
  #closedBeforeMs = Number.NEGATIVE_INFINITY
  /** Offset of the record being applied. */
  #offset = 0
  #paneCount = 0
  /** Keys that found no room in their minute; one may be counted again when it is looked up anew. */
  #keysToOther = 0

  constructor(options: FoldOptions, copyOnWrite: CopyOnWrite) {
    this.#options = options
    this.#copyOnWrite = copyOnWrite
    this.#paneLifeMs = paneLifeOf(options.limits)
  }

  get count(): number {
    return this.#paneCount
  }

  get keysToOther(): number {
    return this.#keysToOther
  }

  beginRecord(offset: number): void {
    this.#offset = offset
  }

  /**
   * The sums to add to for every cut's pane, which are marked as changed. They reach the panes at
   * `flush`, which must follow before the record is done.
   */
  sums(keySet: KeySet, minuteStartMs: number): PaneSums {
    const sums = this.#sums
    if (sums.keySet === keySet && sums.minuteStartMs === minuteStartMs) return sums
    sums.flush()
    sums.begin(keySet, minuteStartMs, this.forWrite(keySet, minuteStartMs))
    return sums
  }

  flush(): void {
    this.#sums.flush()
  }

  /** After a record: minutes that the watermark has left behind are closed. */
  closeUpTo(watermarkMs: number): void {
    const closedBeforeMs = MINUTE_MS * Math.ceil((watermarkMs - this.#paneLifeMs) / MINUTE_MS)
    if (closedBeforeMs === this.#closedBeforeMs) return
    this.#closedBeforeMs = closedBeforeMs
    for (const minuteStartMs of this.#minutes.keys())
      if (!this.#isWritable(minuteStartMs) && !this.#closing.has(minuteStartMs)) {
        this.#closing.add(minuteStartMs)
        this.#evictMinute(minuteStartMs)
      }
  }

  #isWritable(minuteStartMs: number): boolean {
    return minuteStartMs + MINUTE_MS >= this.#closedBeforeMs
  }

  keySet(context: CommonContext, cdn: string | undefined): KeySet {
    const device = context.device?.type
    const player = context.player
    const identity = JSON.stringify([
      context.contentId,
      cdn,
      device,
      player?.name,
      player?.version,
      context.country,
    ])
    const known = this.#keySets.get(identity)
    if (known !== undefined) return known
    if (this.#keySets.size >= KEY_SETS_MAX) this.#keySets.clear()
    const made = new KeySet(this.#options.cuts.map((cut) => cutKey(cut, context, cdn)))
    this.#keySets.set(identity, made)
    return made
  }

  /** What the minutes of this span that are still here wait for, oldest first; for operators. */
  explainMinutes(fromMs: number, toMs: number): HeldMinute[] {
    return [...this.#minutes.keys()]
      .filter((minuteStartMs) => minuteStartMs + MINUTE_MS > fromMs && minuteStartMs <= toMs)
      .toSorted((a, b) => a - b)
      .map((minuteStartMs) => {
        const panes = [...(this.#minutes.get(minuteStartMs) ?? [])].flatMap((byKey) => [
          ...byKey.values(),
        ])
        return {
          minuteStartMs,
          isWritable: this.#isWritable(minuteStartMs),
          writableUntilWatermarkMs: minuteStartMs + MINUTE_MS + this.#paneLifeMs,
          heldBySessions: this.#heldMinutes.get(minuteStartMs) ?? 0,
          rowsNotDurable: panes.filter((pane) => pane.isDirty || pane.inFlight > 0).length,
        }
      })
  }

  /** The panes of every cut to add to, marked as changed; none when the minute is closed. */
  forWrite(keySet: KeySet, minuteStartMs: number): readonly Pane[] {
    if (!this.#isWritable(minuteStartMs)) return NO_PANES
    return this.#touchAll(this.#panes(keySet, minuteStartMs))
  }

  /**
   * Like `forWrite`, also in a closed minute: for `lost`, which is counted at a session's close
   * where its last event was. The minute was held, so its panes are here.
   */
  forLost(keySet: KeySet, minuteStartMs: number): readonly Pane[] {
    return this.#touchAll(this.#panes(keySet, minuteStartMs))
  }

  hold(minuteStartMs: number): void {
    this.#heldMinutes.set(minuteStartMs, (this.#heldMinutes.get(minuteStartMs) ?? 0) + 1)
  }

  release(minuteStartMs: number): void {
    const rest = (this.#heldMinutes.get(minuteStartMs) ?? 1) - 1
    if (rest > 0) this.#heldMinutes.set(minuteStartMs, rest)
    else {
      this.#heldMinutes.delete(minuteStartMs)
      if (this.#closing.has(minuteStartMs)) this.#evictMinute(minuteStartMs)
    }
  }

  dirtyCount(width: Cut['width']): number {
    return this.#dirty[width].size
  }

  /** Takes up to `maxPanes` changed panes, oldest change first; they are clean and in flight. */
  takeDirty(width: Cut['width'], maxPanes: number): Pane[] {
    const taken: Pane[] = []
    const dirty = this.#dirty[width]
    for (const pane of dirty) {
      if (taken.length === maxPanes) break
      dirty.delete(pane)
      pane.isDirty = false
      pane.inFlight += 1
      taken.push(pane)
    }
    return taken
  }

  /** The row of a pane as it is now. */
  row(pane: Pane): MinuteRow {
    const { origin, rowRetentionMs } = this.#options
    return {
      ...origin,
      cut: this.#cut(pane.cutIndex).id,
      key: pane.key,
      minuteStartMs: pane.minuteStartMs,
      stampUs: pane.minuteStartMs * 1_000 + (pane.lastOffset - pane.firstOffset + 1),
      lastOffset: pane.lastOffset,
      expiresAtMs: pane.minuteStartMs + MINUTE_MS + rowRetentionMs,
      aggregates: pane.aggregates(),
    }
  }

  acknowledge(pane: Pane): void {
    pane.inFlight -= 1
    if (this.#closing.has(pane.minuteStartMs)) this.#evictPane(pane)
  }

  *all(): Generator<Pane> {
    for (const cuts of this.#minutes.values()) for (const panes of cuts) yield* panes.values()
  }

  restore(saved: SerialisedPane): void {
    const pane = new Pane({
      cutIndex: saved.cut,
      key: saved.key,
      minuteStartMs: saved.at,
      firstOffset: saved.first,
      countsViewers: this.#cut(saved.cut).viewers,
      savedIn: 0,
    })
    pane.lastOffset = saved.last
    for (const [index, count] of saved.n.entries()) pane.counters[index] = count
    pane.bitsPlayed = new CarryingSum(BigInt(saved.bits))
    for (const [index, count] of saved.plays.entries()) pane.concurrentPlays[index] = count
    for (const [index, count] of saved.viewers.entries()) pane.concurrentViewers[index] = count
    for (const [bucket, count] of saved.startups) pane.startupHistogram.set(bucket, count)
    for (const [register, rank] of saved.registers) pane.viewerRegisters.set(register, rank)
    this.#cutsOfMinute(saved.at)[saved.cut]?.set(saved.key, pane)
    this.#paneCount += 1
    this.#markDirty(pane)
  }

  #panes(keySet: KeySet, minuteStartMs: number): readonly Pane[] {
    const lastUsed = keySet.lastUsed(minuteStartMs)
    if (lastUsed.minuteStartMs === minuteStartMs) return lastUsed.panes
    const cuts = this.#cutsOfMinute(minuteStartMs)
    lastUsed.minuteStartMs = minuteStartMs
    lastUsed.panes = cuts.map((byKey, index) => this.#paneOf(byKey, index, keySet, minuteStartMs))
    return lastUsed.panes
  }

  #cutsOfMinute(minuteStartMs: number): Map<string, Pane>[] {
    let cuts = this.#minutes.get(minuteStartMs)
    if (cuts === undefined) {
      cuts = this.#options.cuts.map(() => new Map<string, Pane>())
      this.#minutes.set(minuteStartMs, cuts)
    }
    return cuts
  }

  #paneOf(byKey: Map<string, Pane>, cutIndex: number, keySet: KeySet, minuteStartMs: number): Pane {
    let key = keySet.keys[cutIndex] ?? ''
    const found = byKey.get(key)
    if (found !== undefined) return found
    if (byKey.size >= this.#options.limits.keysPerCutMinuteMax) {
      this.#keysToOther += 1
      key = JSON.stringify(this.#cut(cutIndex).dimensions.map(() => OTHER_KEY))
      const other = byKey.get(key)
      if (other !== undefined) return other
    }
    const pane = new Pane({
      cutIndex,
      key,
      minuteStartMs,
      firstOffset: this.#offset,
      countsViewers: this.#cut(cutIndex).viewers,
      savedIn: this.#copyOnWrite.snapshotNumber,
    })
    byKey.set(key, pane)
    this.#paneCount += 1
    return pane
  }

  #touchAll(panes: readonly Pane[]): readonly Pane[] {
    for (const pane of panes) {
      this.#copyOnWrite.beforeChange(pane)
      pane.lastOffset = this.#offset
      if (!pane.isDirty) this.#markDirty(pane)
    }
    return panes
  }

  #markDirty(pane: Pane): void {
    pane.isDirty = true
    this.#dirty[this.#cut(pane.cutIndex).width].add(pane)
  }

  #cut(index: number): Cut {
    const cut = this.#options.cuts[index]
    if (cut === undefined) throw new Error(`no cut ${index}`)
    return cut
  }

  #evictMinute(minuteStartMs: number): void {
    for (const panes of this.#minutes.get(minuteStartMs) ?? [])
      for (const pane of panes.values()) this.#evictPane(pane)
  }

  /** Lets a durable pane of a closed minute go, unless a session still holds the minute. */
  #evictPane(pane: Pane): void {
    const { minuteStartMs } = pane
    if (pane.isDirty || pane.inFlight > 0 || this.#heldMinutes.has(minuteStartMs)) return
    const cuts = this.#minutes.get(minuteStartMs)
    if (cuts?.[pane.cutIndex]?.delete(pane.key) !== true) return
    this.#paneCount -= 1
    if (cuts.some((panes) => panes.size > 0)) return
    this.#minutes.delete(minuteStartMs)
    this.#closing.delete(minuteStartMs)
  }
}
