/**
 * Titles of the tests in a source file, as they stand there: with `%s` and `$name` of those that a
 * table repeats. Read from the text, because a test of services cannot be listed without them.
 */

/** A string, with whatever quotes; what it says comes second. */
const STRING = /(['"`])((?:\\.|(?!\1)[^\\\n])*)\1/g
/** `test`, `it.each`, `test.for` and their like; what is skipped or only planned shows nothing. */
const CALL = /(?<![\w.])(?:test|it)((?:\.\w+)*)$/
const SHOWS_NOTHING = /\.(?:skip|todo|fails)\b/

export function testTitles(source: string): ReadonlySet<string> {
  const titles = new Set<string>()
  const plain = source.replaceAll(STRING, (text) => '·'.repeat(text.length))
  for (const match of source.matchAll(STRING)) {
    const before = plain.slice(0, match.index).trimEnd()
    if (!before.endsWith('(')) continue
    const [, modifiers] = CALL.exec(calleeOf(before.slice(0, -1))) ?? []
    if (modifiers !== undefined && !SHOWS_NOTHING.test(modifiers)) titles.add(match[2] ?? '')
  }
  return titles
}

/** Without the table that follows `each`: what is called is before its parentheses. */
function calleeOf(text: string): string {
  if (!text.endsWith(')')) return text
  let depth = 0
  for (let at = text.length - 1; at >= 0; at -= 1) {
    if (text[at] === ')') depth += 1
    if (text[at] === '(') depth -= 1
    if (depth === 0) return text.slice(0, at)
  }
  return ''
}
