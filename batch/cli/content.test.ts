import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TopicContentSource } from '../../shared/content/topic-content-source.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { CommandsOn, expectRefusal } from '../testing/commands-on.ts'

const FOUR_LINES = [
  '{"contentId":"a","title":"A","genre":"drama"}',
  '{"contentId":"b","title":"B","contentType":"film"}',
  '',
  'half a li',
  '{"contentId":"c","title":"C"}',
].join('\n')

let folder: string
let file: string
let commands: CommandsOn
const clock = new ManualClock()
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-content-'))
  file = join(folder, 'content.jsonl')
  await writeFile(join(folder, 'format.json'), '{"format":1}\n')
  await writeFile(file, FOUR_LINES)
  commands = new CommandsOn(folder, clock)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** What the topic says afterwards. */
async function titles(): Promise<Record<string, string | undefined>> {
  const log = await openLmdbEventLog({ folder: join(folder, 'log'), mapBytes: 2 ** 26, clock })
  try {
    const source = new TopicContentSource(log)
    await source.refresh((error) => {
      throw error
    })
    return Object.fromEntries(
      [...source.catalogue].map(({ contentId, versions }) => [contentId, versions.at(-1)?.title]),
    )
  } finally {
    await log.close()
  }
}

describe('content check', () => {
  it('names every line that is wrong, and needs no data folder', async () => {
    const ended = await commands.run(`content check ${file}`, { BACKHAUL_DATA_DIR: '/nowhere' })
    expect(ended).toMatchObject({ code: 1, errors: '' })
    expect(ended.output.split('\n')).toEqual([
      expect.stringMatching(/^line 2: CONTENT_LINE_INVALID: .*contentType.*"film"$/),
      expect.stringMatching(/^line 4: CONTENT_LINE_INVALID: .*expected JSON/),
      '4 lines, 2 of them wrong: 2 contents, 0 deletions',
    ])
    await writeFile(file, '{"contentId":"a","title":"A"}\n{"contentId":"b","deleted":true}\n')
    expect(await commands.json(`content check ${file}`)).toEqual({
      code: 0,
      found: { lines: 2, badLines: 0, contents: 1, deletions: 1, problems: [] },
    })
  })

  it('says when there is no such file, or nothing right in it', async () => {
    expectRefusal(await commands.run('content check missing'), 1, 'CONTENT_FILE_UNREADABLE')
    await writeFile(file, '\n')
    expectRefusal(await commands.run(`content check ${file}`), 1, 'CONTENT_FILE_REFUSED')
  })
})

describe('content load', () => {
  it('puts the lines that are right into the topic, names the others, and repeats nothing', async () => {
    const dry = await commands.json(`content load ${file} --dry-run`)
    expect(dry).toMatchObject({ code: 1, found: { dryRun: true, written: 2 } })
    expect(await titles()).toEqual({})
    const first = await commands.run(`content load ${file}`)
    expect(first.code).toBe(1)
    expect(first.output.split('\n').at(-1)).toBe('2 written, 0 unchanged, 0 deleted')
    expect(await titles()).toEqual({ a: 'A', c: 'C' })
    await writeFile(file, '{"contentId":"a","title":"A2"}\n{"contentId":"c","deleted":true}\n')
    expect(await commands.json(`content load ${file}`)).toMatchObject({
      code: 0,
      found: { written: 1, deleted: 1, refused: [] },
    })
    expect(await titles()).toEqual({ a: 'A2' })
    expect(await commands.json(`content load ${file}`)).toMatchObject({
      code: 0,
      found: { written: 0, unchanged: 1, deleted: 0 },
    })
  })

  it('is refused where the server reads its metadata from elsewhere', async () => {
    const elsewhere = { BACKHAUL_CONTENT_SOURCE: 'file', BACKHAUL_CONTENT_FILE: file }
    expectRefusal(await commands.run(`content load ${file}`, elsewhere), 1, 'CONTENT_SOURCE_NONE')
  })
})
