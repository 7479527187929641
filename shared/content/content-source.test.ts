import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { EventLog } from '../log/event-log.ts'
import { openLmdbEventLog } from '../log/lmdb-event-log.ts'
import { TOPICS, topicSpecs } from '../log/topics.ts'
import { ManualClock } from '../runtime/clock.ts'
import type { BackhaulError } from '../runtime/errors.ts'
import { readContentFile } from './content-file.ts'
import { FileContentSource } from './file-content-source.ts'
import {
  CONTENT_READ_WAIT_MS,
  CONTENT_RECORDS_PER_CONTENT_MAX,
  CONTENT_VERSIONS_MAX,
} from './limits.ts'
import { loadContent } from './load-content.ts'
import { TopicContentSource } from './topic-content-source.ts'

const HOUR_MS = 3_600_000
const SETTINGS = { partitions: 3, logRetentionMs: HOUR_MS, logRetentionBytes: 2 ** 24 }

let folder: string
let path: string
let refused: BackhaulError[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-content-'))
  path = join(folder, 'content.jsonl')
  refused = []
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const lines = (...list: unknown[]) =>
  list.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n')
const write = (...list: unknown[]) => writeFile(path, lines(...list))
const onRefused = (error: BackhaulError) => void refused.push(error)
const codes = () => refused.map(({ code }) => code)
const movie = (contentId: string, title: string, validFrom?: number) => ({
  contentId,
  title,
  validFrom,
})

describe('a file', () => {
  it('is read line by line: those that are wrong are named, and their neighbours kept', async () => {
    await writeFile(
      path,
      `${lines(movie('a', 'A'), '', 'nonsense', movie('b', 'B', 5), 'x'.repeat(200_000), '  ', movie('b', 'B0'))}\r\n{"contentId":"c","title":"Ü"}`,
    )
    const file = await readContentFile(path)
    expect(file).toMatchObject({ lines: 6, badLines: 2 })
    expect(file.problems.map(({ line, error }) => [line, error.code])).toEqual([
      [3, 'CONTENT_LINE_INVALID'],
      [5, 'CONTENT_LINE_TOO_LONG'],
    ])
    expect(file.contents.map(({ contentId, versions }) => [contentId, versions.length])).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 1],
    ])
    expect(file.contents[1]?.versions.map(({ title }) => title)).toEqual(['B0', 'B'])
  })

  it('ends a content from the line on, and a later line begins it anew', async () => {
    await write(
      movie('a', 'A'),
      { contentId: 'a', deleted: true },
      movie('b', 'B', 1),
      { contentId: 'b', deleted: true },
      movie('b', 'B again', 2),
    )
    const file = await readContentFile(path)
    expect(file.deleted).toEqual(['a'])
    expect(file.contents).toEqual([
      { contentId: 'b', versions: [{ validFromMs: 2, title: 'B again' }] },
    ])
  })

  it('keeps the latest versions of a content that has more than are kept', async () => {
    const times = Array.from({ length: CONTENT_VERSIONS_MAX + 1 }, (_, index) => index)
    await write(...times.toReversed().map((time) => movie('a', `${time}`, time)), movie('b', 'B'))
    const { contents, problems } = await readContentFile(path)
    expect(problems.map(({ error }) => error.code)).toEqual(['CONTENT_TOO_MANY_VERSIONS'])
    expect(contents[0]?.versions.map(({ validFromMs }) => validFromMs)).toEqual(times.slice(1))
    expect(contents[1]?.contentId).toBe('b')
  })

  it('is taken anew when it has changed, and never half: it is replaced by a rename', async () => {
    const source = new FileContentSource(path)
    await write(movie('a', 'A'), movie('b', 'B'))
    await source.refresh(onRefused)
    const first = source.catalogue
    await source.refresh(onRefused)
    expect(source.catalogue).toBe(first)
    await writeFile(`${path}.new`, lines(movie('a', 'A2'), 'nonsense'))
    await rename(`${path}.new`, path)
    await source.refresh(onRefused)
    expect(source.catalogue.at('a', 0)?.title).toBe('A2')
    expect(source.catalogue.at('b', 0)).toBeUndefined()
    expect(codes()).toEqual(['CONTENT_LINE_INVALID'])
    await source.refresh(onRefused)
    expect(codes()).toHaveLength(1)
  })

  it.each([
    ['without a line that is right', 'nonsense\n{}', /^CONTENT_FILE_REFUSED.*line 1: CONTENT_LINE/],
    ['that is empty', '', /^CONTENT_FILE_REFUSED.*an empty file/],
  ])('%s leaves what was known, and says so at every look', async (_, text, message) => {
    const source = new FileContentSource(path)
    await write(movie('a', 'A'))
    await source.refresh(onRefused)
    await writeFile(path, text)
    for (let look = 0; look < 2; look += 1)
      await expect(source.refresh(onRefused)).rejects.toThrow(message)
    expect(source.catalogue.at('a', 0)?.title).toBe('A')
    await write(movie('a', 'mended'))
    await source.refresh(onRefused)
    expect(source.catalogue.at('a', 0)?.title).toBe('mended')
  })

  it('that is gone leaves what was known, until it is back', async () => {
    const source = new FileContentSource(path)
    await expect(source.refresh(onRefused)).rejects.toThrow(/^CONTENT_FILE_UNREADABLE/)
    await write(movie('a', 'A'))
    await source.refresh(onRefused)
    await rm(path)
    await expect(source.refresh(onRefused)).rejects.toThrow(/^CONTENT_FILE_UNREADABLE/)
    expect(source.catalogue.contents).toBe(1)
  })
})

describe('the topic', () => {
  const clock = new ManualClock()
  let log: EventLog
  beforeEach(async () => {
    log = await openLmdbEventLog({ folder: join(folder, 'log'), mapBytes: 2 ** 26, clock })
    await log.ensureTopics(topicSpecs(SETTINGS))
  })
  afterEach(() => log.close())

  const load = async (options: { adds?: boolean; isDryRun?: boolean; keptBytes?: number } = {}) => {
    const { refused: _, ...counts } = await loadContent(log, await readContentFile(path), {
      adds: false,
      isDryRun: false,
      keptBytes: Infinity,
      signal: new AbortController().signal,
      ...options,
    })
    return counts
  }
  const append = (key: string, value: string) =>
    log.append(TOPICS.content, 0, [{ key, value: Buffer.from(value), headers: {} }])
  const fresh = async () => {
    const source = new TopicContentSource(log)
    await source.refresh(onRefused)
    return source.catalogue
  }

  it('gets what is new of a file, and of a repeat nothing', async () => {
    await write(movie('a', 'A'), movie('b', 'B'), movie('b', 'B5', 5))
    expect(await load({ isDryRun: true })).toMatchObject({ written: 2 })
    expect((await fresh()).contents).toBe(0)
    expect(await load()).toEqual({ written: 2, unchanged: 0, deleted: 0, rewritten: 0 })
    expect(await load()).toEqual({ written: 0, unchanged: 2, deleted: 0, rewritten: 0 })
    await write(
      movie('b', 'B7', 7),
      { contentId: 'a', deleted: true },
      { contentId: 'never', deleted: true },
    )
    expect(await load({ adds: true })).toEqual({
      written: 1,
      unchanged: 0,
      deleted: 1,
      rewritten: 0,
    })
    const catalogue = await fresh()
    expect(catalogue.at('a', 9)).toBeUndefined()
    expect([0, 5, 7].map((atMs) => catalogue.at('b', atMs)?.title)).toEqual(['B', 'B5', 'B7'])
    expect(await load()).toMatchObject({ written: 1 })
    expect((await fresh()).at('b', 6)).toBeUndefined()
  })

  it('is followed: changes, ends, and records that cannot be read, which change nothing', async () => {
    const source = new TopicContentSource(log)
    await source.refresh(onRefused)
    await write(movie('a', 'A'), movie('b', 'B'))
    await load()
    await source.refresh(onRefused)
    expect(source.catalogue.contents).toBe(2)
    await append('a', 'nonsense')
    await append('', '')
    await write(movie('a', 'A'), { contentId: 'b', deleted: true })
    await load()
    await source.refresh(onRefused)
    expect(source.catalogue.at('a', 0)?.title).toBe('A')
    expect(source.catalogue.contents).toBe(1)
    expect(codes()).toEqual(['CONTENT_RECORD_INVALID'])
  })

  it('is read up to its end, though a read comes back without records before', async () => {
    await write(movie('a', 'A'), movie('b', 'B'))
    await load()
    const reads: number[] = []
    const hesitant = {
      describeTopic: (topic: string) => log.describeTopic(topic),
      offsets: (topic: string, partition: number) => log.offsets(topic, partition),
      read: async (...[topic, partition, request]: Parameters<EventLog['read']>) => {
        reads.push(request.waitMs)
        const result = await log.read(topic, partition, { ...request, maxRecords: 1, waitMs: 0 })
        return reads.length % 3 === 0 ? result : { ...result, records: [] }
      },
    }
    const source = new TopicContentSource(hesitant)
    await source.refresh(onRefused)
    expect(source.catalogue.contents).toBe(2)
    expect(reads.slice(0, 3)).toEqual([0, CONTENT_READ_WAIT_MS, CONTENT_READ_WAIT_MS])
  })

  it('does not age, unlike the others', async () => {
    await write(movie('a', 'A'))
    await load()
    await log.append(TOPICS.events, 0, [{ key: 'k', value: Buffer.from('v'), headers: {} }])
    await clock.advance(2 * HOUR_MS)
    await log.append(TOPICS.events, 0, [{ key: 'k', value: Buffer.from('v'), headers: {} }])
    await log.applyRetention()
    expect((await log.offsets(TOPICS.events, 0)).start).toBe(1)
    expect((await fresh()).at('a', 0)?.title).toBe('A')
  })

  it('gets again what lies far back, for the log that does not compact to let the rest go', async () => {
    const changes = 2 * CONTENT_RECORDS_PER_CONTENT_MAX + 2
    // The topic has a partition alone, so that one content's changes push the other's record back.
    await log.close()
    log = await openLmdbEventLog({ folder: join(folder, 'narrow'), mapBytes: 2 ** 26, clock })
    await log.ensureTopics(topicSpecs({ ...SETTINGS, partitions: 1 }))
    await write(movie('old', 'Old'), movie('busy', 'B'))
    await load()
    let rewritten = 0
    for (let change = 0; change < changes; change += 1) {
      await write(movie('busy', `B${change}`))
      rewritten += (await load()).rewritten
    }
    expect(rewritten).toBe(1)
    expect((await fresh()).contents).toBe(2)
  })

  it('is refused more than a share of what the log keeps of it', async () => {
    await write(movie('a', 'A'))
    await expect(load({ keptBytes: 100 })).rejects.toThrow(/^CONTENT_LOG_TOO_SMALL/)
    expect((await fresh()).contents).toBe(0)
    expect(await load({ keptBytes: 10_000 })).toMatchObject({ written: 1 })
  })
})
