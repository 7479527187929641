/** What can go wrong on the way to the gateway, once each. Nothing here loses a queued frame. */
interface ProblemSpec {
  /** The rule that was broken, as a sentence without a full stop. */
  readonly rule: string
  /** Whether the client connects again by itself. */
  readonly reconnects: boolean
}

export const CLIENT_PROBLEMS = {
  CLIENT_CONNECTION_LOST: {
    rule: 'the connection closed before the client closed it',
    reconnects: true,
  },
  CLIENT_CONNECT_TIMEOUT: { rule: 'a server must say welcome in time', reconnects: true },
  CLIENT_SERVER_SILENT: {
    rule: 'a server that owes an acknowledgement or credit must speak in time',
    reconnects: true,
  },
  CLIENT_SERVER_MESSAGE_INVALID: {
    rule: 'a server message must keep protocol playback.v1',
    reconnects: true,
  },
  CLIENT_PROTOCOL_VIOLATION: {
    rule: 'the server must accept what the client sends',
    reconnects: true,
  },
  CLIENT_FRAME_TOO_LARGE: { rule: 'a frame must fit the server', reconnects: true },
  CLIENT_TOKEN_UNAVAILABLE: { rule: 'the token provider must give a token', reconnects: true },
  CLIENT_TOKEN_EXPIRED: {
    rule: 'the token must be valid; a token provider is asked for a new one',
    reconnects: true,
  },
  CLIENT_TOKEN_REFUSED: {
    rule: 'the token must be valid and carry the scope `write`; `connect` tries again',
    reconnects: false,
  },
} as const satisfies Record<string, ProblemSpec>

export type ClientProblemCode = keyof typeof CLIENT_PROBLEMS

export interface ClientProblem {
  readonly code: ClientProblemCode
  readonly rule: string
  readonly detail: string
  readonly reconnects: boolean
  /** WebSocket close code, where a close was the cause. */
  readonly closeCode: number | undefined
}

export function clientProblem(
  code: ClientProblemCode,
  detail: string,
  closeCode?: number,
): ClientProblem {
  return { code, ...CLIENT_PROBLEMS[code], detail, closeCode }
}

/** What a close code means. A fixed token that was refused would only be refused again. */
export function problemOfClose(
  closeCode: number,
  reason: string,
  tokenRenewable: boolean,
): ClientProblem {
  const detail = reason === '' ? `close code ${closeCode}` : `close code ${closeCode}: ${reason}`
  return clientProblem(codeOfClose(closeCode, tokenRenewable), detail, closeCode)
}

function codeOfClose(closeCode: number, tokenRenewable: boolean): ClientProblemCode {
  switch (closeCode) {
    case 4401:
      return tokenRenewable ? 'CLIENT_TOKEN_EXPIRED' : 'CLIENT_TOKEN_REFUSED'
    case 4403:
      return 'CLIENT_TOKEN_REFUSED'
    case 1002:
    case 1003:
    case 1007:
    case 1008:
      return 'CLIENT_PROTOCOL_VIOLATION'
    case 1009:
      return 'CLIENT_FRAME_TOO_LARGE'
    default:
      return 'CLIENT_CONNECTION_LOST'
  }
}
