/**
 * Compresses with zstd, one batch after another in one context. What Node exports makes a stream, a
 * context and its tables for every call: 35 µs, ten times what compressing a small batch takes.
 *
 * Node has the call that this asks for, synchronous and repeatable, only below its streams
 * (`_handle.writeSync`); this file is the only one that knows it, and Node's version is pinned. The
 * call is tried at start, and whenever it does not do what it should, what Node exports is called.
 */
import {
  constants,
  createZstdCompress,
  zstdCompressSync,
  zstdDecompressSync,
  type ZstdCompress,
} from 'node:zlib'
import { ZSTD_LEVEL } from './kafka-client.ts'

const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } }
/** Room that is there from the start; what a batch needs is known before it is compressed. */
const OUTPUT_BYTES = 256 * 1_024
const SAMPLE = Buffer.from('{"a":1}'.repeat(64))

/** What lies below Node's stream. */
interface Internals {
  readonly handle: {
    writeSync(
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputBytes: number,
      output: Uint8Array,
      outputAt: number,
      outputBytes: number,
    ): void
  }
  /** Bytes left of the output, and of the input, after a write. */
  readonly left: Uint32Array
}

export class ZstdContext {
  readonly #stream: ZstdCompress = createZstdCompress(OPTIONS)
  #internals: Internals | undefined
  #output = Buffer.allocUnsafeSlow(OUTPUT_BYTES)

  constructor() {
    // Told by the bytes that are left; an event without a listener would end the process.
    this.#stream.on('error', () => undefined)
    this.#internals = internalsOf(this.#stream)
    for (let round = 0; round < 2 && this.isReused; round++)
      if (!zstdDecompressSync(this.compress(SAMPLE)).equals(SAMPLE)) this.#internals = undefined
  }

  /** Whether one context serves all calls. */
  get isReused(): boolean {
    return this.#internals !== undefined
  }

  /** A whole zstd frame; it stands until the next call. */
  compress(input: Uint8Array): Buffer {
    return this.#compressAgain(input) ?? zstdCompressSync(input, OPTIONS)
  }

  #compressAgain(input: Uint8Array): Buffer | undefined {
    if (this.#internals === undefined) return undefined
    const { handle, left } = this.#internals
    const room = boundOf(input.length)
    if (room > this.#output.length) this.#output = Buffer.allocUnsafeSlow(2 * room)
    const output = this.#output
    const { ZSTD_e_end } = constants
    handle.writeSync(ZSTD_e_end, input, 0, input.length, output, 0, output.length)
    const [outputLeft = 0, inputLeft = 0] = left
    if (inputLeft === 0 && outputLeft > 0 && !this.#stream.destroyed)
      return output.subarray(0, output.length - outputLeft)
    // Never seen: the context is in the middle of something, so it is not used again.
    this.#internals = undefined
    return undefined
  }
}

function internalsOf(stream: ZstdCompress): Internals | undefined {
  const handle: unknown = Reflect.get(stream, '_handle')
  const left: unknown = Reflect.get(stream, '_writeState')
  return hasWriteSync(handle) && left instanceof Uint32Array ? { handle, left } : undefined
}

function hasWriteSync(handle: unknown): handle is Internals['handle'] {
  return (
    typeof handle === 'object' &&
    handle !== null &&
    'writeSync' in handle &&
    typeof handle.writeSync === 'function'
  )
}

/** At least `ZSTD_compressBound`: what a frame takes at most. */
function boundOf(bytes: number): number {
  return bytes + (bytes >>> 8) + 1_024
}
