/** JSON in UTF-8 from bytes of anybody's: a value or a problem, never an exception. */

export type JsonObject = Readonly<Record<string, unknown>>

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A problem is told without any of the text, which may be private. */
export function parseJsonBytes(bytes: Uint8Array): { value: unknown } | { problem: string } {
  if (bytes.length === 0) return { problem: 'expected JSON, received nothing' }
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return { problem: 'expected UTF-8, received other bytes' }
  }
  if (text.startsWith('\uFEFF')) return { problem: 'expected JSON, received a byte order mark' }
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    const position = /at position (\d+)/.exec(String(error))?.[1]
    const where = position === undefined ? '' : ` at character ${position}`
    return { problem: `expected JSON, received text that breaks off or is wrong${where}` }
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a value is, without the value. */
export function kindOfJson(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (typeof value === 'string') return `a string of ${value.length} characters`
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
