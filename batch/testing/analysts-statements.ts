/** The statements of docs/analysts.md, each under the last heading before it. */
import { readFileSync } from 'node:fs'

export const ANALYSTS_PAGE = readFileSync(
  new URL('../../docs/analysts.md', import.meta.url),
  'utf8',
)

export function analystsStatements(): { heading: string; sql: string }[] {
  let heading = ''
  return [...ANALYSTS_PAGE.matchAll(/^#+ (.+)$|^```sql\n([\s\S]*?)^```$/gm)].flatMap(
    ([, title, sql]) => {
      heading = title ?? heading
      return sql === undefined ? [] : [{ heading, sql }]
    },
  )
}
