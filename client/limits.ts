/** Every bound of the client, with its unit. A caller may lower or raise them by `limits`. */
export interface ClientLimits {
  /** Frames kept until they are acknowledged, sent ones included. */
  readonly queueFramesMax: number
  /** Bytes kept until they are acknowledged, sent ones included. */
  readonly queueBytesMax: number
  /** Events in one frame; the protocol allows no more. */
  readonly frameEventsMax: number
  /** Bytes of one frame until a server's welcome asks for less. */
  readonly frameBytesMax: number
  /** Bytes that `pageHide` hands over; browsers allow 64 KiB of keepalive bodies per page. */
  readonly keepaliveBytesMax: number
  /** From the attempt to connect to the server's welcome. */
  readonly connectTimeoutMs: number
  /** Without a word from a server that owes an acknowledgement or credit. */
  readonly serverSilenceMaxMs: number
  /** First window of the reconnect delay; doubled per failed attempt. */
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** Largest wait that a server's `slow` can ask for. */
  readonly retryAfterMaxMs: number
  /** Largest wait that a server's `goaway` can ask for. */
  readonly reconnectAfterMaxMs: number
}

export const DEFAULT_CLIENT_LIMITS: ClientLimits = {
  queueFramesMax: 2_048,
  queueBytesMax: 4 * 1_048_576,
  frameEventsMax: 1_000,
  frameBytesMax: 262_144,
  keepaliveBytesMax: 60 * 1_024,
  connectTimeoutMs: 10_000,
  serverSilenceMaxMs: 60_000,
  backoffBaseMs: 500,
  backoffMaxMs: 30_000,
  retryAfterMaxMs: 60_000,
  reconnectAfterMaxMs: 300_000,
}

/** Completes and checks limits; throws a RangeError that names both values of a broken relation. */
export function resolveLimits(given: Partial<ClientLimits> = {}): ClientLimits {
  const limits = { ...DEFAULT_CLIENT_LIMITS, ...given }
  for (const [name, value] of Object.entries(limits))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${name} must be a positive integer, received ${value}`)
  if (limits.queueBytesMax < limits.frameBytesMax)
    throw new RangeError(
      `queueBytesMax (${limits.queueBytesMax}) must hold a frame of frameBytesMax (${limits.frameBytesMax})`,
    )
  if (limits.frameEventsMax > DEFAULT_CLIENT_LIMITS.frameEventsMax)
    throw new RangeError(
      `frameEventsMax must be at most ${DEFAULT_CLIENT_LIMITS.frameEventsMax}, received ${limits.frameEventsMax}`,
    )
  if (limits.backoffMaxMs < limits.backoffBaseMs)
    throw new RangeError(
      `backoffMaxMs (${limits.backoffMaxMs}) must be at least backoffBaseMs (${limits.backoffBaseMs})`,
    )
  return limits
}
