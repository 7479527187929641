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
  readonly #heap: Keyed<Item>[] = []

  get size(): number {
    return this.#heap.length
  }

  push(keyMs: number, item: Item): void {
    const heap = this.#heap
    heap.push({ keyMs, item })
    let index = heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >>> 1
      if (!this.#isBefore(index, parent)) break
      this.#swap(index, parent)
      index = parent
    }
  }

  /** The first item whose key lies before `nowMs`, with that key; it leaves the heap. */
  popBefore(nowMs: number): Keyed<Item> | undefined {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined || first.keyMs >= nowMs) return undefined
    const last = heap.pop()
    if (last !== undefined && heap.length > 0) {
      heap[0] = last
      this.#sink()
    }
    return first
  }

  #sink(): void {
    let index = 0
    for (;;) {
      let least = index
      const left = 2 * index + 1
      if (left < this.#heap.length && this.#isBefore(left, least)) least = left
      if (left + 1 < this.#heap.length && this.#isBefore(left + 1, least)) least = left + 1
      if (least === index) return
      this.#swap(index, least)
      index = least
    }
  }

  #isBefore(a: number, b: number): boolean {
    const left = this.#heap[a]
    const right = this.#heap[b]
    if (left === undefined || right === undefined) return false
    if (left.keyMs !== right.keyMs) return left.keyMs < right.keyMs
    return left.item.order < right.item.order
  }

  #swap(a: number, b: number): void {
    const left = this.#heap[a]
    const right = this.#heap[b]
    if (left === undefined || right === undefined) return
    this.#heap[a] = right
    this.#heap[b] = left
  }
}
