import type { Clock } from '../runtime/clock.ts'
import type { GuardedResponse } from './guarded-response.ts'

export interface BodyLimits {
  readonly maxBytes: number
  /** The whole body must have arrived within this time, however steadily it drips. */
  readonly timeoutMs: number
}

export type BodyResult =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly reason: 'tooLarge' | 'timeout' | 'aborted' }

/**
 * Reads a request body, bounded in bytes and time. Must be called inside the route handler, before
 * it returns or awaits. `done` runs exactly once; the bytes are a copy and belong to the caller.
 * After `tooLarge` and `timeout` the rest of the body is ignored: answer with `closesConnection`.
 */
export function readBody(
  response: GuardedResponse,
  limits: BodyLimits,
  clock: Clock,
  done: (result: BodyResult) => void,
): void {
  let finished = false
  const chunks: Uint8Array[] = []
  let length = 0
  const finish = (result: BodyResult) => {
    if (finished) return
    finished = true
    cancelTimeout()
    chunks.length = 0
    done(result)
  }
  const cancelTimeout = clock.after(limits.timeoutMs, () =>
    finish({ ok: false, reason: 'timeout' }),
  )
  response.onEnd(() => finish({ ok: false, reason: 'aborted' }))
  response.raw.onData((chunk, isLast) => {
    if (finished) return
    length += chunk.byteLength
    if (length > limits.maxBytes) return finish({ ok: false, reason: 'tooLarge' })
    // The chunk's memory belongs to the server and is gone when this handler returns.
    chunks.push(new Uint8Array(chunk.slice(0)))
    if (isLast) finish({ ok: true, bytes: join(chunks, length) })
  })
}

function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const only = chunks[0]
  if (chunks.length === 1 && only !== undefined) return only
  const bytes = new Uint8Array(length)
  let position = 0
  for (const chunk of chunks) {
    bytes.set(chunk, position)
    position += chunk.byteLength
  }
  return bytes
}
