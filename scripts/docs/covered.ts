/** Which commands of the docs are run, and which are named in docs/README.md as those that are not. */
import { commandBlocks, commandsOf, inlineCommands, readPages } from './commands.ts'
import { RUN_ELSEWHERE } from './elsewhere.ts'

const LIST_PAGE = 'docs/README.md'
const LIST_TITLE = '\n## What no test runs\n'
/** Stands for any command, or says only a part of one. */
const NO_COMMAND = /backhaul (?:-- )?<command>|…/

export interface NotRun {
  /** What a command begins with. */
  readonly command: string
  readonly why: string
}

const [beforeList = '', list = ''] = textOfListPage().split(LIST_TITLE)
const PAGES = readPages().map((page) =>
  page.path === LIST_PAGE ? { ...page, text: beforeList } : page,
)

/** Commands of blocks that some test runs, and those of `elsewhere.ts`. */
export const commandsRun: readonly string[] = [
  ...PAGES.flatMap(commandBlocks).flatMap(({ testing, text }) =>
    testing?.startsWith('run: ') === true ? commandsOf(text).map((words) => words.join(' ')) : [],
  ),
  ...Object.keys(RUN_ELSEWHERE),
]

/** The list of docs/README.md. */
export const commandsNotRun: readonly NotRun[] = readList()

function textOfListPage(): string {
  return readPages().find(({ path }) => path === LIST_PAGE)?.text ?? ''
}

function readList(): NotRun[] {
  return [...list.matchAll(/^\| (`.+`) +\| (\S.*?) +\|$/gm)].flatMap(
    ([, commands = '', why = '']) =>
      [...commands.matchAll(/`([^`]+)`/g)].map(([, command = '']) => ({ command, why })),
  )
}

/** Whether the words of a command begin with all words of another. */
export function beginsWith(command: string, other: string): boolean {
  return `${command} `.startsWith(`${other} `)
}

/** Every command within a sentence, once. */
export function sentenceCommands(): string[] {
  const found = PAGES.flatMap(inlineCommands).filter((command) => !NO_COMMAND.test(command))
  return [...new Set(found)]
}

/** Those of a program, or of all with an empty one, that are neither run for a block, nor the beginning of one that is, nor on the list. */
export function sentencesToRun(program: string): string[] {
  return sentenceCommands().filter(
    (command) =>
      (program === '' || beginsWith(command, program)) &&
      !commandsRun.some((run) => beginsWith(run, command)) &&
      !commandsNotRun.some((listed) => beginsWith(command, listed.command)),
  )
}
