/**
 * The commands that README.md and the pages of docs/ tell people to type. A block of them is fenced as
 * `sh`, and the comment before it says how it is tested:
 *
 *     <!-- run: standalone -->    run against a server of its own (`commands.process.test.ts`)
 *     <!-- run: services -->      run as processes on a real Kafka (`commands.services.test.ts`)
 *     <!-- parsed: why -->        every command and flag is known to its own parser (`commands.test.ts`)
 *     <!-- not run: why -->       needs what no test has, such as a cloud project
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

export type Testing = 'run: standalone' | 'run: services' | 'parsed' | 'not run'

export interface CommandBlock {
  /** `docs/cli.md:28`, where it begins. */
  readonly place: string
  /** Absent where no comment says it. */
  readonly testing: Testing | undefined
  readonly text: string
}

export interface Page {
  readonly path: string
  readonly text: string
}

const FOLDERS = ['docs', 'docs/runbooks']
const FENCE =
  /(?:<!-- (run: standalone|run: services|(?:parsed|not run): .+) -->\n\n)?^```(\S*)\n([\s\S]*?)^```$/gm
/** What a command line begins with; other fenced text is not for a shell. */
const COMMAND =
  /^(?:\$ )?(?:[A-Z][A-Z_]*=\S+ )*(?:npm|npx|node|curl|gcloud|helm|kubectl|docker|export)\s/m
const SPAN = /`((?:npm\s+(?:start|test|ci|run)|npx\s+backhaul)\b[^`]*)`/g

/** README.md and every page that is written or generated, without decisions: they are of their time. */
export function readPages(): Page[] {
  const inDocs = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  )
  return ['README.md', ...inDocs].map((path) => {
    return { path, text: readFileSync(join(ROOT, path), 'utf8') }
  })
}

/** Fenced blocks for a shell, and those that look like it. */
export function commandBlocks({ path, text }: Page): CommandBlock[] {
  return [...text.matchAll(FENCE)].flatMap((match) => {
    const [whole, comment, language, block = ''] = match
    if (language !== 'sh' && !(language === '' && COMMAND.test(block))) return []
    const fence = text.slice(0, match.index + whole.indexOf('```'))
    const place = `${path}:${fence.split('\n').length}`
    return [{ place, testing: language === 'sh' ? testingOf(comment) : undefined, text: block }]
  })
}

/** Commands within a sentence. */
export function inlineCommands({ text }: Page): string[] {
  return [...text.matchAll(SPAN)].map(([, command = '']) => command.replaceAll(/\s+/g, ' '))
}

function testingOf(comment: string | undefined): Testing | undefined {
  if (comment === 'run: standalone' || comment === 'run: services') return comment
  if (comment?.startsWith('parsed: ') === true) return 'parsed'
  return comment?.startsWith('not run: ') === true ? 'not run' : undefined
}

/** The words of every command of a block, without variables before it, redirections and comments. */
export function commandsOf(block: string): string[][] {
  const lines = block.replaceAll('\\\n', ' ').split('\n')
  return lines.flatMap((line) => {
    const commands: string[][] = [[]]
    for (const word of wordsOf(line)) {
      if (['&&', '&', ';', '|'].includes(word)) commands.push([])
      else commands.at(-1)?.push(word)
    }
    return commands.map(withoutSurroundings).filter((words) => words.length > 0)
  })
}

const WORD = /(?:"[^"]*"|'[^']*'|[^\s"'#]|(?<=\S)#)+|#.*$/g

function wordsOf(line: string): string[] {
  const words = [...line.matchAll(WORD)].map(([word]) => word)
  return words.filter((word) => !word.startsWith('#'))
}

function withoutSurroundings(words: readonly string[]): string[] {
  const first = words.findIndex((word) => word !== '$' && !/^[A-Za-z_]+=/.test(word))
  const redirected = words.findIndex((word) => word.startsWith('>'))
  if (first < 0) return []
  return words
    .slice(first, redirected < 0 ? undefined : redirected)
    .map((word) => word.replaceAll(/^["']|["']$/g, ''))
}
