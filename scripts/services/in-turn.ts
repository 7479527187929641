/** Runs what is asked under the same key one after another, and under other keys at once. */
export class InTurn {
  readonly #last = new Map<string, Promise<void>>()

  async run<Result>(key: string, action: () => Promise<Result>): Promise<Result> {
    const done = (this.#last.get(key) ?? Promise.resolve()).then(action)
    const settled = done.then(
      () => undefined,
      () => undefined,
    )
    this.#last.set(key, settled)
    try {
      return await done
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key)
    }
  }
}
