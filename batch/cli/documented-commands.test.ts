/**
 * The operators' commands of the docs, from their words to their exit codes: those of blocks page after
 * page, then those of sentences that no block has. Each must end with 0.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CommandsOn } from '../testing/commands-on.ts'
import { ResourcesServer } from '../testing/resources-server.ts'
import { commandBlocks, commandsOf, firstFence, readPages } from '../../scripts/docs/commands.ts'
import { sentencesToRun } from '../../scripts/docs/covered.ts'
import { EXAMPLE_VIEW, EXAMPLE_VIEWER, makeExampleFolder } from '../testing/example-folder.ts'

const BUILD_TIMEOUT_MS = 240_000
const BLOCKS = readPages()
  .flatMap(commandBlocks)
  .filter(({ testing }) => testing === 'run: commands')

/** What stands for something else, in the order in which it is looked for. */
const STANDING_FOR: readonly (readonly [text: string, by: string])[] = [
  ['$VIEWER', EXAMPLE_VIEWER],
  ['<raw-viewer-id>', EXAMPLE_VIEWER],
  ['<session>/<seq>', 'session-3/1'],
  ['<topic>/<partition>', 'playback.events/1'],
  ['<partition>@<offset>', '0@5'],
  ['<file>', 'rules.json'],
  ['view switch <view>', `view switch ${EXAMPLE_VIEW}`],
  ['view switch <former-id>', `view switch ${EXAMPLE_VIEW}`],
  ['view drop <former-id>', 'view drop candidate'],
]
const FILES: Readonly<Record<string, string>> = {
  'rules.json': firstFence('docs/alerts.md', 'json'),
  'content.jsonl': firstFence('docs/content.md', 'json'),
  'new-titles.jsonl': firstFence('docs/content.md', 'json'),
}

let folder: string
let commands: CommandsOn
const cloud = new ResourcesServer()

beforeAll(async () => {
  const endpoint = await cloud.start()
  ;({ folder, commands } = await makeExampleFolder({
    GCS_ENDPOINT: endpoint,
    BIGQUERY_ENDPOINT: endpoint,
  }))
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text)
}, BUILD_TIMEOUT_MS)
afterAll(async () => {
  await cloud.stop()
  rmSync(folder, { recursive: true })
})

/** On the folder; those of the cloud on a stand-in of its API. */
async function run(words: readonly string[]): Promise<void> {
  const typed = words.join(' ')
  expect(typed).toMatch(/^npx backhaul \S/)
  const line = STANDING_FOR.reduce((text, [from, to]) => text.replaceAll(from, to), typed)
  const args = line
    .split(' ')
    .slice('npx backhaul'.split(' ').length)
    .map((word) => (word in FILES ? join(folder, word) : word))
  for (const environment of environmentsOf(args)) {
    const { code, output, errors } = await commands.run(args.join(' '), environment)
    expect(code, `${line}: ${errors}${output}`).toBe(0)
  }
}

/** The command is given once with each. */
function environmentsOf(args: readonly string[]): readonly Record<string, string>[] {
  const shards = Number(args[args.indexOf('--shard') + 1])
  if (args.includes('--shard'))
    // The first merges what the others have made.
    return Array.from({ length: shards }, (_, index) => ({
      JOB_COMPLETION_INDEX: `${shards - 1 - index}`,
    }))
  if (args[0] !== 'init') return [{}]
  const bucket = { OBJECT_STORE: 'gcs', GCS_BUCKET: 'backhaul', GCS_CREDENTIALS: 'none' }
  const datasets = { WAREHOUSE_STORE: 'bigquery', BIGQUERY_CREDENTIALS: 'none' }
  return [{ ...bucket, ...datasets, BIGQUERY_PROJECT: 'my-project' }]
}

test('the docs have commands of operators to run', () => {
  expect(BLOCKS.length).toBeGreaterThan(15)
})

test.each(BLOCKS)('$place works as it stands there', async ({ text }) => {
  for (const words of commandsOf(text)) await run(words)
})

test.each(sentencesToRun('npx backhaul'))('%s works as it stands in a sentence', async (line) => {
  for (const words of commandsOf(line)) await run(words)
})
