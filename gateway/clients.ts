/** The open connections of a gateway, and the acknowledgements that wait for the end of the turn. */
import type { Connection } from './connection.ts'

export class Clients {
  readonly #connections = new Set<Connection>()
  #toFlush: Connection[] = []

  get size(): number {
    return this.#connections.size
  }

  add(connection: Connection): void {
    this.#connections.add(connection)
  }

  delete(connection: Connection): void {
    this.#connections.delete(connection)
  }

  /** Connections may end while they are being visited. */
  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#connections.values()
  }

  /** Many frames become durable in one turn of the event loop; each client is told once. */
  scheduleFlush(connection: Connection): void {
    this.#toFlush.push(connection)
    if (this.#toFlush.length === 1) setImmediate(() => this.#flush())
  }

  sweep(): void {
    for (const connection of this.#connections) connection.sweep()
  }

  #flush(): void {
    const due = this.#toFlush
    this.#toFlush = []
    for (const connection of due) connection.flush()
  }
}
