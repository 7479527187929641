/** The SQL files of the batch, each one SELECT. */
import { readFileSync } from 'node:fs'

const texts = new Map<string, string>()

/** The text of `batch/sql/<name>.sql`; it is read once. */
export function readSql(name: string): string {
  let text = texts.get(name)
  if (text === undefined) {
    text = readFileSync(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8')
    texts.set(name, text)
  }
  return text
}
