/**
 * What a server of `playback.v1` says, one JSON object a message:
 *
 *   {"welcome":{"creditFrames":64,"creditBytes":1048576,"frameMaxBytes":262144,"heartbeatMs":…}}
 *   {"ack":17,"creditFrames":64,"creditBytes":1048576}    bytes absent: as last told
 *   {"ack":17,"rejected":[{"frame":17,"seq":41,"code":"…","detail":"…"}]}
 *   {"slow":{"resendFrom":18,"retryAfterMs":…}}
 *   {"goaway":{"reconnectAfterMs":…}}
 *
 * Unknown fields are ignored and a message with none of these names is `unknown`, so that a newer
 * server can say more.
 */
export interface RejectedEvent {
  readonly frame: number
  readonly seq: number | undefined
  readonly code: string
  readonly detail: string
}

export type ServerMessage =
  | {
      readonly kind: 'welcome'
      readonly creditFrames: number
      readonly creditBytes: number
      readonly frameMaxBytes: number
    }
  | {
      readonly kind: 'ack'
      readonly ack: number
      readonly creditFrames: number | undefined
      readonly creditBytes: number | undefined
      readonly rejected: readonly RejectedEvent[]
    }
  | { readonly kind: 'slow'; readonly resendFrom: number; readonly retryAfterMs: number }
  | { readonly kind: 'goaway'; readonly reconnectAfterMs: number }
  | { readonly kind: 'unknown' }

/** Reads one message; `undefined` when it breaks the protocol. */
export function parseServerMessage(data: unknown): ServerMessage | undefined {
  const message = parseObject(data)
  if (message === undefined) return undefined
  if ('welcome' in message) return readWelcome(message['welcome'])
  if ('ack' in message) return readAck(message)
  if ('slow' in message) return readSlow(message['slow'])
  if ('goaway' in message) return readGoaway(message['goaway'])
  return { kind: 'unknown' }
}

type JsonObject = Readonly<Record<string, unknown>>

function parseObject(data: unknown): JsonObject | undefined {
  if (typeof data !== 'string') return undefined
  try {
    return asObject(JSON.parse(data))
  } catch {
    return undefined
  }
}

function asObject(value: unknown): JsonObject | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return value as JsonObject
}

function isCount(value: unknown, min = 0): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min
}

function readWelcome(value: unknown): ServerMessage | undefined {
  const welcome = asObject(value)
  if (welcome === undefined) return undefined
  const { creditFrames, creditBytes, frameMaxBytes } = welcome
  if (!isCount(creditFrames) || !isCount(creditBytes) || !isCount(frameMaxBytes, 1))
    return undefined
  return { kind: 'welcome', creditFrames, creditBytes, frameMaxBytes }
}

function readAck(message: JsonObject): ServerMessage | undefined {
  const { ack, creditFrames, creditBytes, rejected } = message
  if (!isCount(ack, -1)) return undefined
  if (creditFrames !== undefined && !isCount(creditFrames)) return undefined
  if (creditBytes !== undefined && !isCount(creditBytes)) return undefined
  if (rejected !== undefined && !Array.isArray(rejected)) return undefined
  const events: RejectedEvent[] = []
  for (const entry of rejected ?? []) {
    const event = readRejected(entry)
    if (event === undefined) return undefined
    events.push(event)
  }
  return { kind: 'ack', ack, creditFrames, creditBytes, rejected: events }
}

function readRejected(value: unknown): RejectedEvent | undefined {
  const entry = asObject(value)
  if (entry === undefined) return undefined
  const { frame, seq, code, detail } = entry
  if (!isCount(frame) || typeof code !== 'string') return undefined
  return {
    frame,
    seq: isCount(seq) ? seq : undefined,
    code,
    detail: typeof detail === 'string' ? detail : '',
  }
}

function readSlow(value: unknown): ServerMessage | undefined {
  const slow = asObject(value)
  if (slow === undefined) return undefined
  const { resendFrom, retryAfterMs } = slow
  if (!isCount(resendFrom) || !isCount(retryAfterMs)) return undefined
  return { kind: 'slow', resendFrom, retryAfterMs }
}

function readGoaway(value: unknown): ServerMessage | undefined {
  const goaway = asObject(value)
  if (goaway === undefined || !isCount(goaway['reconnectAfterMs'])) return undefined
  return { kind: 'goaway', reconnectAfterMs: goaway['reconnectAfterMs'] }
}
