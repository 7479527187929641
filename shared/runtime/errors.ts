/**
 * Typed errors for the world. Every service lists its errors once, in its `errors.ts`, as a
 * catalogue; code throws by code, and `docs/errors.md` is generated from the same table. Bugs are
 * asserted (`assert` below), not catalogued.
 */
export interface ErrorSpec {
  /** The rule that was broken, as a sentence without a full stop. */
  readonly rule: string
  /** Whether the same request can succeed later without a change by the caller. */
  readonly retryable: boolean
  /** WebSocket close code, where the error ends a connection. */
  readonly closeCode?: number
  /** HTTP status, where the error answers a request. */
  readonly status?: number
  /** What the operator or client should do about it. */
  readonly action: string
}

export interface ErrorDetail {
  readonly expected?: string
  readonly received?: string
  readonly cause?: unknown
}

export class BackhaulError extends Error {
  override readonly name = 'BackhaulError'
  readonly code: string
  readonly spec: ErrorSpec
  /** What was expected and what came, without the code and the rule. */
  readonly detail: string
  readonly expected: string | undefined
  readonly received: string | undefined

  constructor(code: string, spec: ErrorSpec, detail: ErrorDetail = {}) {
    const parts: string[] = []
    if (detail.expected !== undefined) parts.push(`expected ${detail.expected}`)
    if (detail.received !== undefined) parts.push(`received ${detail.received}`)
    const text = parts.join(', ')
    super(
      text === '' ? `${code}: ${spec.rule}` : `${code}: ${spec.rule}; ${text}`,
      detail.cause === undefined ? undefined : { cause: detail.cause },
    )
    this.code = code
    this.spec = spec
    this.detail = text
    this.expected = detail.expected
    this.received = detail.received
  }
}

/** A typed error as plain data, to be thrown again in another process. */
export interface ErrorData {
  readonly code: string
  readonly spec: ErrorSpec
  readonly expected: string | undefined
  readonly received: string | undefined
}

export function errorToData({ code, spec, expected, received }: BackhaulError): ErrorData {
  return { code, spec, expected, received }
}

export function errorFromData({ code, spec, expected, received }: ErrorData): BackhaulError {
  return new BackhaulError(code, spec, {
    ...(expected === undefined ? {} : { expected }),
    ...(received === undefined ? {} : { received }),
  })
}

export interface ErrorFactory<Code extends string> {
  readonly catalogue: Readonly<Record<Code, ErrorSpec>>
  /** Builds the error of `code`; the caller throws or answers with it. */
  create(code: Code, detail?: ErrorDetail): BackhaulError
}

export function defineErrors<Code extends string>(
  catalogue: Readonly<Record<Code, ErrorSpec>>,
): ErrorFactory<Code> {
  return {
    catalogue,
    create: (code, detail) => new BackhaulError(code, catalogue[code], detail),
  }
}

/** A broken assumption of our own: the process must not go on with it. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}

/** A short, printable form of any value for the `received` part of an error. */
export function describeValue(value: unknown, maxChars = 80): string {
  const text = typeof value === 'bigint' ? `${value}` : (JSON.stringify(value) ?? String(value))
  return text.length > maxChars ? `${text.slice(0, maxChars)}…` : text
}
