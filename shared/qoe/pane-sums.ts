/**
 * What one record adds to the panes of one key set and minute. The events of a frame mostly fall
 * into one minute and count alike in every cut: they are summed here, and put into all panes once.
 * Everything is a sum of integers, so the order in which they are added does not show.
 */
import { COUNTER_NAMES, INSTANTS_PER_MINUTE } from './aggregates.ts'
import type { KeySet, Pane } from './panes.ts'

/** One addition to a pane's bits is at most 2^51; an event's share of them is well below half. */
const BITS_MAX = 2 ** 50

export class PaneSums {
  keySet: KeySet | undefined
  minuteStartMs = Number.NaN
  /** None when the minute is closed. */
  panes: readonly Pane[] = []
  readonly #counters = new Float64Array(COUNTER_NAMES.length)
  readonly #plays = new Float64Array(INSTANTS_PER_MINUTE)
  readonly #viewers = new Float64Array(INSTANTS_PER_MINUTE)
  #hasInstants = false
  #bits = 0

  begin(keySet: KeySet, minuteStartMs: number, panes: readonly Pane[]): void {
    this.keySet = keySet
    this.minuteStartMs = minuteStartMs
    this.panes = panes
  }

  add(counter: number, amount: number): void {
    this.#counters[counter] = (this.#counters[counter] ?? 0) + amount
  }

  addBits(amount: number): void {
    if (this.#bits + amount > BITS_MAX) this.#flushBits()
    this.#bits += amount
  }

  addInstant(index: number, plays: number, viewers: number): void {
    this.#hasInstants = true
    this.#plays[index] = (this.#plays[index] ?? 0) + plays
    this.#viewers[index] = (this.#viewers[index] ?? 0) + viewers
  }

  /** Puts the sums into the panes; nothing is pending afterwards. */
  flush(): void {
    if (this.keySet === undefined) return
    this.keySet = undefined
    const counters = this.#counters
    for (let counter = 0; counter < counters.length; counter += 1) {
      const amount = counters[counter] ?? 0
      if (amount === 0) continue
      counters[counter] = 0
      for (const pane of this.panes) pane.add(counter, amount)
    }
    if (this.#bits > 0) this.#flushBits()
    if (this.#hasInstants) this.#flushInstants()
  }

  #flushBits(): void {
    for (const pane of this.panes) pane.addBits(this.#bits)
    this.#bits = 0
  }

  #flushInstants(): void {
    this.#hasInstants = false
    for (let index = 0; index < INSTANTS_PER_MINUTE; index += 1) {
      const plays = this.#plays[index] ?? 0
      const viewers = this.#viewers[index] ?? 0
      if (plays + viewers === 0) continue
      this.#plays[index] = 0
      this.#viewers[index] = 0
      for (const pane of this.panes) pane.addInstant(index, plays, viewers)
    }
  }
}
