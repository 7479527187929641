/** Something that was started and can be stopped; `stop` is called once and waits for its end. */
export interface Running {
  stop(): Promise<void>
}

/**
 * Remembers what was started, in order, and stops it in reverse. A part that fails to stop does
 * not keep the others from stopping; the first failure is thrown at the end.
 */
export class StopStack implements Running {
  readonly #parts: { readonly name: string; readonly stop: () => Promise<void> | void }[] = []

  add(name: string, stop: () => Promise<void> | void): void {
    this.#parts.push({ name, stop })
  }

  async stop(): Promise<void> {
    let failure: unknown
    for (;;) {
      const part = this.#parts.pop()
      if (part === undefined) break
      try {
        await part.stop()
      } catch (error) {
        failure ??= new Error(`${part.name} did not stop cleanly`, { cause: error })
      }
    }
    if (failure !== undefined) throw failure
  }
}
