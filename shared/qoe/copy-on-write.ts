/**
 * Copy-on-write for snapshots: an entry of the state that is about to change while a snapshot is
 * being read is serialised first, as it was when the snapshot began.
 */
export interface SnapshotEntry {
  /** Number of the last snapshot that holds the entry, or the one it was born after. */
  savedIn: number
  serialise(): string
}

export class CopyOnWrite {
  /** Number of the latest snapshot. */
  #snapshot = 0
  #active = false
  readonly #saved = new Map<SnapshotEntry, string>()

  get snapshotNumber(): number {
    return this.#snapshot
  }

  /** Must be called before an entry changes. */
  beforeChange(entry: SnapshotEntry): void {
    if (!this.#active || entry.savedIn === this.#snapshot) return
    entry.savedIn = this.#snapshot
    this.#saved.set(entry, entry.serialise())
  }

  begin(): void {
    this.#snapshot += 1
    this.#active = true
  }

  /** The entry as it was when the snapshot began. */
  read(entry: SnapshotEntry): string {
    const saved = this.#saved.get(entry)
    if (saved !== undefined) {
      this.#saved.delete(entry)
      return saved
    }
    entry.savedIn = this.#snapshot
    return entry.serialise()
  }

  end(): void {
    this.#active = false
    this.#saved.clear()
  }
}
