import { expect, test } from 'vitest'
import { checkCommand } from './command-parsers.ts'
import { commandBlocks, commandsOf, inlineCommands, readPages } from './commands.ts'

const PAGES = readPages()
/** Stands for any command, or says only a part of one. */
const NO_COMMAND = /backhaul (?:-- )?<command>|…/

function faultOf(words: readonly string[]): string[] {
  try {
    checkCommand(words)
    return []
  } catch (error) {
    return [`${words.join(' ')}: ${error instanceof Error ? error.message : String(error)}`]
  }
}

test('every block of commands in README.md and docs/ says how it is tested', () => {
  const blocks = PAGES.flatMap(commandBlocks)
  expect(blocks.length).toBeGreaterThan(25)
  const silent = blocks.filter(({ testing }) => testing === undefined)
  expect(silent.map(({ place }) => place)).toEqual([])
  const indented = PAGES.filter(({ text }) => /^ {4}(?:npm|npx|node|curl) /m.test(text))
  expect(indented.map(({ path }) => path)).toEqual([])
})

test('every command of a block that is not run, and of one that is, is known to its own parser', () => {
  const faults = PAGES.flatMap(commandBlocks).flatMap(({ place, testing, text }) => {
    if (testing === 'not run') return []
    const isOurs = ([program]: readonly string[]) =>
      testing === 'parsed' || ['npm', 'npx'].includes(program ?? '')
    return commandsOf(text)
      .filter(isOurs)
      .flatMap(faultOf)
      .map((fault) => `${place}: ${fault}`)
  })
  expect(faults).toEqual([])
})

test('every command within a sentence is known to its own parser', () => {
  const faults = PAGES.flatMap((page) =>
    inlineCommands(page)
      .filter((command) => !NO_COMMAND.test(command))
      .flatMap((command) => commandsOf(command.replaceAll(/<[^>]+>/g, 'any')))
      .flatMap(faultOf)
      .map((fault) => `${page.path}: ${fault}`),
  )
  expect(faults).toEqual([])
})

test.each([
  ['npx backhaul batch run --everything', 'the options of backhaul batch run'],
  ['npx backhaul conquer', 'there is no command'],
  ['npm run nothing', 'has no script'],
  ['npm run soak -- --hours 1', 'hours'],
  ['npm run loadtest -- storm', 'there is no scenario'],
  ['npm run acceptance -- --only nothing', 'there is no proof'],
  ['npm run simulate -- --sede 7', 'does not know --sede'],
  ['npm run services -- up oracle', 'there is no scripts/services/oracle'],
  ['npm start -- --often', 'flags of npm start'],
  ['rm -r data', 'nothing parses'],
])('%s would be found', (command, message) => {
  expect(commandsOf(command).flatMap(faultOf)).toEqual([expect.stringContaining(message)])
})

test('variables, redirections, comments and quotes are not taken for words', () => {
  const block = [
    'A=1 npm run -s sql -- --csv "SELECT 1 && 2"   > answer.csv  # a comment',
    "npm ci && npm start  # don't",
    'npm run gateway &',
    'curl -i x \\\n  -d y',
  ].join('\n')
  expect(commandsOf(block)).toEqual([
    ['npm', 'run', '-s', 'sql', '--', '--csv', 'SELECT 1 && 2'],
    ['npm', 'ci'],
    ['npm', 'start'],
    ['npm', 'run', 'gateway'],
    ['curl', '-i', 'x', '-d', 'y'],
  ])
})
