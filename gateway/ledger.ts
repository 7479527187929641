import { ACCEPT_OBJECTIVE_MS } from './limits.ts'

/** Why something received was given back to the client instead of being kept. */
export const REFUSAL_REASONS = [
  /** The process byte budget or a lane was full. */
  'overload',
  /** Its connection, address or subject sent more than it may. */
  'rate',
  /** It was not in the log by its deadline. */
  'deadline',
  /** It followed a refused frame of its connection. */
  'behindRefused',
  /** The log would not take it at all. */
  'append',
] as const

export type RefusalReason = (typeof REFUSAL_REASONS)[number]

/**
 * The conservation equation of one kind of thing, true between any two calls:
 * received = accepted + rejected + refused + inFlight. What a client sends again is received again.
 */
export class Ledger {
  received = 0
  /** Durable in the log. */
  accepted = 0
  /** Of these, what took longer than the objective. */
  acceptedLate = 0
  /** Refused for good, with a durable reject record. */
  rejected = 0
  /** Given back: the client sends it again. */
  refused = 0
  /** On its way into the log. */
  inFlight = 0
  readonly refusedBy: Record<RefusalReason, number> = {
    overload: 0,
    rate: 0,
    deadline: 0,
    behindRefused: 0,
    append: 0,
  }

  arrive(count: number): void {
    this.received += count
    this.inFlight += count
  }

  accept(count: number, afterMs: number): void {
    this.accepted += count
    if (afterMs > ACCEPT_OBJECTIVE_MS) this.acceptedLate += count
    this.inFlight -= count
  }

  reject(count: number): void {
    this.rejected += count
    this.inFlight -= count
  }

  refuse(count: number, reason: RefusalReason): void {
    this.refused += count
    this.refusedBy[reason] += count
    this.inFlight -= count
  }
}

/** Events one by one; frames and lines that could not be read at all are counted apart. */
export interface Ledgers {
  readonly events: Ledger
  readonly unreadable: Ledger
  /** Frames and bodies decoded. */
  readonly frames: Record<Transport, number>
}

export type Transport = 'websocket' | 'http' | 'cmcd' | 'relay'

export function createLedgers(): Ledgers {
  return {
    events: new Ledger(),
    unreadable: new Ledger(),
    frames: { websocket: 0, http: 0, cmcd: 0, relay: 0 },
  }
}
