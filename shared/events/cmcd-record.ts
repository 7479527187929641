/** Typed reading of one CMCD record: a value of another type than asked for counts as absent. */
import type { BareItem, Dictionary, Item } from './structured-fields.ts'

export interface TypedNumber {
  readonly value: number
  /** The item's parameters, which name what the number is about (`v`, `a`, `av`, …). */
  readonly types: ReadonlySet<string>
}

export class CmcdRecord {
  readonly #dictionary: Dictionary

  constructor(dictionary: Dictionary) {
    this.#dictionary = dictionary
  }

  /** A string that is not empty. */
  text(key: string): string | undefined {
    const bare = this.#bare(key)
    return bare?.kind === 'string' && bare.value !== '' ? bare.value : undefined
  }

  token(key: string): string | undefined {
    const bare = this.#bare(key)
    return bare?.kind === 'token' ? bare.value : undefined
  }

  /** True, false, or undefined when absent or no boolean. */
  flag(key: string): boolean | undefined {
    const bare = this.#bare(key)
    return bare?.kind === 'boolean' ? bare.value : undefined
  }

  integer(key: string): number | undefined {
    const bare = this.#bare(key)
    return bare?.kind === 'integer' ? bare.value + 0 : undefined
  }

  /** An integer, or a decimal rounded to one. */
  whole(key: string): number | undefined {
    const value = this.decimal(key)
    return value === undefined ? undefined : Math.round(value) + 0
  }

  decimal(key: string): number | undefined {
    return numberOf(this.#bare(key))
  }

  /** The numbers of a list, or of a single value, which older players send; rounded. */
  numbers(key: string): TypedNumber[] {
    const found: TypedNumber[] = []
    for (const { bare, parameters } of this.#items(key)) {
      const value = numberOf(bare)
      if (value !== undefined)
        found.push({ value: Math.round(value) + 0, types: new Set(parameters.keys()) })
    }
    return found
  }

  /** The strings, tokens and integers of a list, or of a single value, as text. */
  texts(key: string): string[] {
    const found: string[] = []
    for (const { bare } of this.#items(key))
      if (bare.kind === 'string' || bare.kind === 'token' || bare.kind === 'integer')
        if (bare.value !== '') found.push(String(bare.value))
    return found
  }

  #bare(key: string): BareItem | undefined {
    const member = this.#dictionary.get(key)
    return member?.kind === 'item' ? member.bare : undefined
  }

  #items(key: string): readonly Item[] {
    const member = this.#dictionary.get(key)
    if (member === undefined) return []
    return member.kind === 'list' ? member.items : [member]
  }
}

function numberOf(bare: BareItem | undefined): number | undefined {
  return bare?.kind === 'integer' || bare?.kind === 'decimal' ? bare.value : undefined
}
