/**
 * The connections to brokers: one for each broker and purpose, opened when it is first needed and
 * anew when it was lost. A broker that cannot be reached is tried again after a while, longer each
 * time; until then its callers fail at once with the last reason, so that a thousand lanes do not
 * make a thousand attempts.
 */
import type { BackhaulError } from '../runtime/errors.ts'
import { assert } from '../runtime/errors.ts'
import type { Clock } from '../runtime/clock.ts'
import { logErrors } from '../log/log-errors.ts'
import type { BrokerAddress, BrokerConnection, KafkaClient } from './kafka-client.ts'
import { RECONNECT_MAX_MS, RECONNECT_MS } from './limits.ts'

/** What a connection is used for; requests that may wait long have their own. */
export type Purpose =
  | 'metadata'
  | 'control'
  | 'produce'
  | `lone ${number}`
  | 'fetch'
  | 'waiting fetch'
  | `join ${number}`

export interface ConnectionsObserver {
  connectionOpened(): void
  connectionFailed(address: BrokerAddress, error: BackhaulError): void
}

interface Slot {
  connection: BrokerConnection | undefined
  opening: Promise<BrokerConnection> | undefined
  failures: number
  failure: unknown
  retryAtMs: number
}

export class Connections {
  readonly #client: KafkaClient
  readonly #clock: Clock
  readonly #observer: ConnectionsObserver
  readonly #requestTimeoutMs: (purpose: Purpose) => number
  readonly #slots = new Map<string, Slot>()
  #closed = false

  constructor(parts: {
    readonly client: KafkaClient
    readonly clock: Clock
    readonly observer: ConnectionsObserver
    requestTimeoutMs(purpose: Purpose): number
  }) {
    this.#client = parts.client
    this.#clock = parts.clock
    this.#observer = parts.observer
    this.#requestTimeoutMs = parts.requestTimeoutMs
  }

  get open(): number {
    let count = 0
    for (const { connection } of this.#slots.values()) if (connection?.isOpen === true) count += 1
    return count
  }

  /** The open connection, if there is one: no waiting on the hot path. */
  openNow(address: BrokerAddress, purpose: Purpose): BrokerConnection | undefined {
    const connection = this.#slots.get(slotName(address, purpose))?.connection
    return connection?.isOpen === true ? connection : undefined
  }

  async get(address: BrokerAddress, purpose: Purpose): Promise<BrokerConnection> {
    if (this.#closed) throw logErrors.create('LOG_CLOSED')
    const name = slotName(address, purpose)
    let slot = this.#slots.get(name)
    if (slot === undefined) {
      slot = {
        connection: undefined,
        opening: undefined,
        failures: 0,
        failure: undefined,
        retryAtMs: 0,
      }
      this.#slots.set(name, slot)
    }
    if (slot.connection?.isOpen === true) return slot.connection
    if (slot.opening === undefined && this.#clock.monotonicMs() < slot.retryAtMs) throw slot.failure
    slot.opening ??= this.#open(slot, address, purpose)
    return slot.opening
  }

  /** Closes one connection, so that whatever waits on it fails. */
  async drop(address: BrokerAddress, purpose: Purpose): Promise<void> {
    const name = slotName(address, purpose)
    const slot = this.#slots.get(name)
    this.#slots.delete(name)
    await slot?.connection?.close()
  }

  async close(): Promise<void> {
    this.#closed = true
    const slots = [...this.#slots.values()]
    await Promise.allSettled(slots.flatMap(({ opening }) => opening ?? []))
    await Promise.all(slots.map(async ({ connection }) => connection?.close()))
  }

  async #open(slot: Slot, address: BrokerAddress, purpose: Purpose): Promise<BrokerConnection> {
    try {
      slot.connection = await this.#client.connect(address, this.#requestTimeoutMs(purpose))
      slot.failures = 0
      this.#observer.connectionOpened()
      return slot.connection
    } catch (error) {
      const waitMs = Math.min(RECONNECT_MAX_MS, RECONNECT_MS * 2 ** slot.failures)
      slot.failures += 1
      slot.failure = error
      slot.retryAtMs = this.#clock.monotonicMs() + waitMs
      this.#observer.connectionFailed(address, error as BackhaulError)
      throw error
    } finally {
      slot.opening = undefined
    }
  }
}

/** `host:port`, an IPv6 host in brackets. */
export function parseAddress(text: string): BrokerAddress {
  const [, host = '', port = ''] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(text) ?? []
  assert(host !== '', `a broker's address is host:port, not ${text}`)
  return { host, port: Number(port) }
}

function slotName({ host, port }: BrokerAddress, purpose: Purpose): string {
  return `${host}:${port} ${purpose}`
}
