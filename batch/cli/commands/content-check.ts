/** `content check`: whether a file of content metadata is right. */
import { readContentFile, type ContentFile } from '../../../shared/content/content-file.ts'
import { type Command, EXIT } from '../command.ts'

export const contentCheck: Command = {
  name: 'content check',
  summary: 'check a file of content metadata, line by line',
  about: `Reads a file of content metadata (docs/content.md), lines of JSON, and names every line that is
wrong, with the rule, what was expected and what came. Exits with 1 when there is one. Needs no data
folder, and changes nothing.`,
  examples: ['content check content.jsonl', 'content check content.jsonl --json'],
  options: {},
  positionals: ['file'],
  async run(_context, given) {
    const file = await readContentFile(given.positional('file'))
    return {
      exitCode: file.badLines === 0 ? EXIT.done : EXIT.failed,
      json: { ...countsOf(file), problems: file.problems.map(problemOf) },
      text: [...file.problems.map(problemText), countsText(file)].join('\n'),
    }
  },
}

export function countsOf({ contents, deleted, lines, badLines }: ContentFile) {
  return { lines, badLines, contents: contents.length, deletions: deleted.length }
}

export function countsText(file: ContentFile): string {
  const { lines, badLines, contents, deletions } = countsOf(file)
  return `${lines} lines, ${badLines} of them wrong: ${contents} contents, ${deletions} deletions`
}

export function problemOf({ line, error }: ContentFile['problems'][number]) {
  return { line, code: error.code, message: error.message }
}

export function problemText({ line, error }: ContentFile['problems'][number]): string {
  return `line ${line}: ${error.message}`
}
