/**
 * A dictionary of structured fields (RFC 9651, the successor of RFC 8941) as CMCD uses it:
 *
 *   cid="movie-1",e=ps,br=(5000;v 128;a),bg,pr=1.5
 *
 * Two liberties are taken for what real players send: names may have upper-case letters, and
 * strings may have characters beyond ASCII. Otherwise a text that breaks the grammar has no value.
 */

export type BareItem =
  | { readonly kind: 'integer' | 'decimal' | 'date'; readonly value: number }
  | { readonly kind: 'string' | 'token' | 'bytes' | 'display'; readonly value: string }
  | { readonly kind: 'boolean'; readonly value: boolean }

export type Parameters = ReadonlyMap<string, BareItem>

export interface Item {
  readonly kind: 'item'
  readonly bare: BareItem
  readonly parameters: Parameters
}

export interface InnerList {
  readonly kind: 'list'
  readonly items: readonly Item[]
  readonly parameters: Parameters
}

/** Of names given twice the last holds. */
export type Dictionary = ReadonlyMap<string, Item | InnerList>

export type DictionaryResult =
  | { readonly ok: true; readonly dictionary: Dictionary }
  /** `at` counts characters from 0. */
  | { readonly ok: false; readonly expected: string; readonly at: number }

export function parseDictionary(text: string): DictionaryResult {
  const reader = new Reader(text)
  try {
    return { ok: true, dictionary: reader.dictionary() }
  } catch (error) {
    if (!(error instanceof GrammarProblem)) throw error
    return { ok: false, expected: error.expected, at: reader.at }
  }
}

class GrammarProblem extends Error {
  readonly expected: string

  constructor(expected: string) {
    super(expected)
    this.expected = expected
  }
}

const OPTIONAL_BLANKS = /[ \t]*/y
const BLANKS = / */y
const NAME = /[a-zA-Z*][a-zA-Z0-9_\-.*]*/y
const NUMBER = /-?(\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])/y
const TOKEN = /[A-Za-z*][!#$%&'*+\-.^_`|~\w:/]*/y
// eslint-disable-next-line no-control-regex -- control characters are what a string must not hold
const STRING = /"((?:[^"\\\u0000-\u001f\u007f]|\\["\\])*)"/y
const BYTES = /:([A-Za-z0-9+/=]*):/y
const DISPLAY_STRING = /%"((?:[^"%]|%[0-9a-f]{2})*)"/y
const BOOLEAN = /\?([01])/y

class Reader {
  at = 0
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  dictionary(): Dictionary {
    const members = new Map<string, Item | InnerList>()
    this.#take(OPTIONAL_BLANKS)
    while (this.at < this.#text.length) {
      members.set(this.#need(NAME, 'a key'), this.#member())
      this.#take(OPTIONAL_BLANKS)
      if (this.at === this.#text.length) break
      this.#needSign(',')
      this.#take(OPTIONAL_BLANKS)
      if (this.at === this.#text.length) throw new GrammarProblem('a key after the comma')
    }
    return members
  }

  #member(): Item | InnerList {
    if (!this.#takeSign('='))
      return {
        kind: 'item',
        bare: { kind: 'boolean', value: true },
        parameters: this.#parameters(),
      }
    return this.#takeSign('(') ? this.#innerList() : this.#item()
  }

  #innerList(): InnerList {
    const items: Item[] = []
    for (;;) {
      const hadBlank = this.#take(BLANKS) !== ''
      if (this.#takeSign(')')) return { kind: 'list', items, parameters: this.#parameters() }
      if (items.length > 0 && !hadBlank) throw new GrammarProblem('a blank or ")"')
      items.push(this.#item())
    }
  }

  #item(): Item {
    return { kind: 'item', bare: this.#bareItem(), parameters: this.#parameters() }
  }

  #parameters(): Parameters {
    if (this.#text[this.at] !== ';') return NO_PARAMETERS
    const parameters = new Map<string, BareItem>()
    while (this.#takeSign(';')) {
      this.#take(BLANKS)
      const name = this.#need(NAME, 'the name of a parameter')
      parameters.set(
        name,
        this.#takeSign('=') ? this.#bareItem() : { kind: 'boolean', value: true },
      )
    }
    return parameters
  }

  #bareItem(): BareItem {
    switch (this.#text.charAt(this.at)) {
      case '"':
        return { kind: 'string', value: unescape(this.#need(STRING, 'a closed string')) }
      case '?':
        return { kind: 'boolean', value: this.#need(BOOLEAN, '?0 or ?1') === '1' }
      case ':':
        return { kind: 'bytes', value: this.#need(BYTES, 'a closed byte sequence') }
      case '%':
        return { kind: 'display', value: this.#need(DISPLAY_STRING, 'a closed display string') }
      case '@':
        this.at += 1
        return { kind: 'date', value: Number(this.#need(NUMBER, 'a date')) }
      default:
        return this.#numberOrToken()
    }
  }

  #numberOrToken(): BareItem {
    const number = this.#take(NUMBER)
    if (number !== undefined)
      return { kind: number.includes('.') ? 'decimal' : 'integer', value: Number(number) }
    return { kind: 'token', value: this.#need(TOKEN, 'a value') }
  }

  /** The first group of `pattern`, or all of it where it has none, when it matches here. */
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.#text)
    if (match === null) return undefined
    this.at = pattern.lastIndex
    return pattern === NUMBER ? match[0] : (match[1] ?? match[0])
  }

  #need(pattern: RegExp, expected: string): string {
    const text = this.#take(pattern)
    if (text === undefined) throw new GrammarProblem(expected)
    return text
  }

  #takeSign(sign: string): boolean {
    if (this.#text[this.at] !== sign) return false
    this.at += 1
    return true
  }

  #needSign(sign: string): void {
    if (!this.#takeSign(sign)) throw new GrammarProblem(`"${sign}"`)
  }
}

const NO_PARAMETERS: Parameters = new Map()

function unescape(text: string): string {
  return text.replace(/\\(["\\])/g, '$1')
}
