/** What can be fuzzed: a parser of bytes that come from outside. */
import type { ErrorSpec } from '../../shared/runtime/errors.ts'
import { assert, BackhaulError } from '../../shared/runtime/errors.ts'

export interface FuzzTarget {
  readonly name: string
  /** Inputs that the others are made of: right ones, and such as took the parser where it may go wrong. */
  readonly seeds: readonly Uint8Array[]
  /** Pieces that mean something to the parser. */
  readonly words: readonly string[]
  /**
   * Has one input judged and says how: in few words, equal for inputs that went the same way, because
   * an input of a new verdict is changed further. Throws when a promise is broken.
   */
  judge(bytes: Uint8Array): string | Promise<string>
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** The code of a refusal; whatever is no error of `catalogue` is thrown on. */
export function codeOf(error: unknown, catalogue: Readonly<Record<string, ErrorSpec>>): string {
  if (!(error instanceof BackhaulError)) throw error
  assert(error.code in catalogue, `${error.code} is in the catalogue`)
  return error.code
}
