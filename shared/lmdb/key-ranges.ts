/** Ends of key ranges; keys sort bytewise. */

/** Above every key that begins with `prefix`; `undefined` when there is no such key. */
export function above(prefix: Buffer): Buffer | undefined {
  const end = Buffer.from(prefix)
  for (let index = end.length - 1; index >= 0; index -= 1) {
    const byte = end.readUInt8(index)
    if (byte === 0xff) continue
    end.writeUInt8(byte + 1, index)
    return end.subarray(0, index + 1)
  }
  return undefined
}

/** The lowest key above `key`. */
export function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)])
}

/** Range options for the keys that begin with `prefix`. */
export function withPrefix(prefix: Buffer): { readonly start: Buffer; readonly end?: Buffer } {
  const end = above(prefix)
  return end === undefined ? { start: prefix } : { start: prefix, end }
}
