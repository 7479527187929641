/**
 * The commands that README.md and the pages of docs/ tell people to type. A block of them is fenced as
 * `sh`, and the comment before it says where it is run:
 *
 *     <!-- run: standalone -->    beside a server of its own (`commands.process.test.ts`)
 *     <!-- run: services -->      as processes on a real Kafka (`commands.services.test.ts`)
 *     <!-- run: commands -->      on a folder of examples (`batch/cli/documented-commands.test.ts`)
 *     <!-- run: elsewhere -->     in the test that `elsewhere.ts` names
 *     <!-- not run: why -->       nowhere: every command is on the list of docs/README.md
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

const PLACES = ['standalone', 'services', 'commands', 'elsewhere'] as const
export type Testing = `run: ${(typeof PLACES)[number]}` | 'not run'

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
const FENCE = /(?:<!-- (run: \w+|not run: .+) -->\n\n)?^ *```(\S*)\n([\s\S]*?)^ *```$/gm
/** What a command line begins with; other fenced text is not for a shell. */
const COMMAND =
  /^\s*(?:\$ )?(?:[A-Z][A-Z_]*=\S+ )*(?:npm|npx|node|curl|gcloud|helm|kubectl|docker|export)\s/m
const SPAN =
  /`((?:npm\s+(?:start|test|ci|run)|npx\s+backhaul|(?:gcloud|helm|kubectl|docker)\s+[a-z-]+)\b[^`]*)`/g

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

/** Fenced blocks for a shell, and those that look like it; within the items of a list, too. */
export function commandBlocks({ path, text }: Page): CommandBlock[] {
  return [...text.matchAll(FENCE)].flatMap((match) => {
    const [whole, comment, language, block = ''] = match
    if (language !== 'sh' && !(language === '' && COMMAND.test(block))) return []
    const fence = text.slice(0, match.index + whole.indexOf('```'))
    const place = `${path}:${fence.split('\n').length}`
    return [{ place, testing: language === 'sh' ? testingOf(comment) : undefined, text: block }]
  })
}

/** Commands within a sentence; what stands for something, such as `<raw viewer id>`, is one word. */
export function inlineCommands({ text }: Page): string[] {
  return [...text.matchAll(SPAN)].map(([, command = '']) =>
    command
      .replaceAll(/\s+/g, ' ')
      .replaceAll(/<[^>]+>/g, (placeholder) => placeholder.replaceAll(' ', '-')),
  )
}

/** The first fenced text of a page in that language. */
export function firstFence(path: string, language: string): string {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const [, found] = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(text) ?? []
  if (found === undefined) throw new Error(`${path} has no text in ${language}`)
  return found
}

function testingOf(comment = ''): Testing | undefined {
  const place = PLACES.find((known) => comment === `run: ${known}`)
  if (place !== undefined) return `run: ${place}`
  return comment.startsWith('not run: ') ? 'not run' : undefined
}

/** Text for the input of a command; the mark at its beginning is that at its end. */
const HERE_DOCUMENT = /<<'?(\w+)'?\n[\s\S]*?^\1$/gm

/** The words of every command of a block, without variables before it, redirections and comments. */
export function commandsOf(block: string): string[][] {
  const lines = block.replaceAll(HERE_DOCUMENT, '').replaceAll('\\\n', ' ').split('\n')
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
