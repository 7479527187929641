/**
 * Deadlines in order. An entry's deadline may move while it is queued: a popped entry whose key is
 * no longer its deadline is queued again under the new one, never handled, so the order of handling
 * depends on the deadlines alone and not on when entries were queued. Ties go by `order`.
 */
interface Keyed<Item> {
  readonly keyMs: number
  readonly item: Item
}

export class DeadlineHeap<Item extends { readonly order: number }> {
  /** Keys and items of the same index belong together; pairs of them would be objects to keep. */
  readonly #keysMs: number[] = []
  readonly #items: Item[] = []

  get size(): number {
    return this.#items.length
  }

  push(keyMs: number, item: Item): void {
    this.#keysMs.push(keyMs)
    this.#items.push(item)
    let index = this.#items.length - 1
    while (index > 0) {
      const parent = (index - 1) >>> 1
      if (!this.#isBefore(index, parent)) break
      this.#swap(index, parent)
      index = parent
    }
  }

  /** The first item whose key lies before `nowMs`, with that key; it leaves the heap. */
  popBefore(nowMs: number): Keyed<Item> | undefined {
    const keyMs = this.#keysMs[0]
    const item = this.#items[0]
    if (keyMs === undefined || item === undefined || keyMs >= nowMs) return undefined
    const lastKeyMs = this.#keysMs.pop()
    const lastItem = this.#items.pop()
    if (lastKeyMs !== undefined && lastItem !== undefined && this.#items.length > 0) {
      this.#keysMs[0] = lastKeyMs
      this.#items[0] = lastItem
      this.#sink()
    }
    return { keyMs, item }
  }

  #sink(): void {
    let index = 0
    for (;;) {
      let least = index
      const left = 2 * index + 1
      if (left < this.size && this.#isBefore(left, least)) least = left
      if (left + 1 < this.size && this.#isBefore(left + 1, least)) least = left + 1
      if (least === index) return
      this.#swap(index, least)
      index = least
    }
  }

  #isBefore(a: number, b: number): boolean {
    const leftMs = this.#keysMs[a] ?? 0
    const rightMs = this.#keysMs[b] ?? 0
    if (leftMs !== rightMs) return leftMs < rightMs
    return (this.#items[a]?.order ?? 0) < (this.#items[b]?.order ?? 0)
  }

  #swap(a: number, b: number): void {
    const leftMs = this.#keysMs[a]
    const rightMs = this.#keysMs[b]
    const left = this.#items[a]
    const right = this.#items[b]
    if (leftMs === undefined || rightMs === undefined) return
    if (left === undefined || right === undefined) return
    this.#keysMs[a] = rightMs
    this.#keysMs[b] = leftMs
    this.#items[a] = right
    this.#items[b] = left
  }
}
