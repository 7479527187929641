import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkCommand } from './command-parsers.ts'
import { commandBlocks, commandsOf, readPages, type Testing } from './commands.ts'
import {
  beginsWith,
  commandsNotRun,
  commandsRun,
  sentenceCommands,
  sentencesToRun,
} from './covered.ts'
import { RUN_ELSEWHERE, SENTENCES_TYPED } from './elsewhere.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const BLOCKS = readPages().flatMap(commandBlocks)
/** Words of a shell that are around commands, and programs of others that take what those answer. */
const AROUND = ['export', 'cat', 'for', 'do', 'done', 'jq', 'base64']

function faultOf(words: readonly string[]): string[] {
  try {
    checkCommand(words)
    return []
  } catch (error) {
    return [`${words.join(' ')}: ${error instanceof Error ? error.message : String(error)}`]
  }
}

function commandsIn(testing: Testing): string[] {
  const blocks = BLOCKS.filter((block) => block.testing === testing)
  const commands = blocks.flatMap(({ text }) => commandsOf(text))
  return commands
    .filter(([program = '']) => !AROUND.includes(program))
    .map((words) => words.join(' '))
}

const isListed = (command: string) =>
  commandsNotRun.some((listed) => beginsWith(command, listed.command))
const isOurs = (command: string) => /^(?:npm|npx|node) /.test(command)

test('every block of commands in README.md and docs/ says where it is run', () => {
  expect(BLOCKS.length).toBeGreaterThan(25)
  const silent = BLOCKS.filter(({ testing }) => testing === undefined)
  expect(silent.map(({ place }) => place)).toEqual([])
  const indented = readPages().filter(({ text }) => /^ {4}(?:npm|npx|node|curl) /m.test(text))
  expect(indented.map(({ path }) => path)).toEqual([])
})

test('every command of a block that is not run is run elsewhere, or named as one that is not', () => {
  const silent = commandsIn('not run').filter(
    (command) => !isListed(command) && !commandsRun.some((run) => beginsWith(run, command)),
  )
  expect(silent).toEqual([])
})

test('every command within a sentence is run, or named as one that is not', () => {
  const typed = SENTENCES_TYPED.flatMap(sentencesToRun)
  expect(typed.length).toBeGreaterThan(5)
  expect(sentencesToRun('').filter((command) => !typed.includes(command))).toEqual([])
})

test('what is named as not run is in some page, and has a reason', () => {
  expect(commandsNotRun.length).toBeGreaterThan(10)
  const all = [...commandsIn('not run'), ...sentenceCommands()]
  const unused = commandsNotRun.filter(
    ({ command, why }) => why === '' || !all.some((found) => beginsWith(found, command)),
  )
  expect(unused).toEqual([])
})

test('what is run elsewhere is in some page, and run there', () => {
  const said = commandsIn('run: elsewhere')
  expect(said.filter((command) => !(command in RUN_ELSEWHERE))).toEqual([])
  const all = [...said, ...commandsIn('not run'), ...sentenceCommands()]
  const absent = Object.entries(RUN_ELSEWHERE).filter(([command, path]) => {
    const source = readFileSync(join(ROOT, path), 'utf8')
    return !all.includes(command) || !source.includes(`documented('${command}')`)
  })
  expect(absent).toEqual([])
})

test('every command that is not run is known to its own parser', () => {
  const sentences = sentenceCommands().map((command) => command.replaceAll(/<[^>]+>/g, 'any'))
  const commands = [...commandsIn('not run'), ...sentences].filter(isOurs)
  expect(commands.length).toBeGreaterThan(30)
  expect(commands.flatMap(commandsOf).flatMap(faultOf)).toEqual([])
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

test('variables, redirections, comments, quotes and texts for an input are not taken for words', () => {
  const block = [
    'A=1 npm run -s sql -- --csv "SELECT 1 && 2"   > answer.csv  # a comment',
    "npm ci && npm start  # don't",
    'npm run gateway &',
    'curl -i x \\\n  -d y',
    "kubectl apply --filename - <<'YAML'\nkind: Pod\nYAML",
  ].join('\n')
  expect(commandsOf(block)).toEqual([
    ['npm', 'run', '-s', 'sql', '--', '--csv', 'SELECT 1 && 2'],
    ['npm', 'ci'],
    ['npm', 'start'],
    ['npm', 'run', 'gateway'],
    ['curl', '-i', 'x', '-d', 'y'],
    ['kubectl', 'apply', '--filename', '-'],
  ])
})

test('a command begins with whole words', () => {
  expect(beginsWith('npm run sql -- x', 'npm run sql')).toBe(true)
  expect(beginsWith('npm run sqlite', 'npm run sql')).toBe(false)
})
