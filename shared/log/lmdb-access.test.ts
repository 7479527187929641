/** Guests and readers of the LMDB event log beside an owner, in one process. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Access } from '../lmdb/owner-row.ts'
import { ManualClock, systemClock } from '../runtime/clock.ts'
import { ArmedFailpoints } from '../runtime/failpoints.ts'
import { describeEventLog, record, textOf, topicSpec } from './event-log.contract.ts'
import type { EventLog, ReadRequest } from './event-log.ts'
import { openLmdbEventLog } from './lmdb-event-log.ts'
import { FOLLOW_PERIOD_MS, WAITING_READS_MAX } from './lmdb-limits.ts'

const MAP_BYTES = 256 * 1024 * 1024
const ALL: ReadRequest = { fromOffset: 0, maxRecords: 10_000, maxBytes: 1 << 28, waitMs: 0 }

describeEventLog('a guest of the LMDB event log', async () => {
  const folder = await temporaryFolder()
  const options = { folder, mapBytes: MAP_BYTES, clock: systemClock }
  return {
    open: () => openLmdbEventLog({ ...options, access: 'guest' }),
    dispose: () => rm(folder, { recursive: true }),
  }
})

describeEventLog('a reader of the LMDB event log, beside an owner that writes it,', async () => {
  const folder = await temporaryFolder()
  const options = { folder, mapBytes: MAP_BYTES, clock: systemClock }
  return {
    async open() {
      const owner = await openLmdbEventLog(options)
      return readsFrom(await openLmdbEventLog({ ...options, access: 'reader' }), owner)
    },
    dispose: () => rm(folder, { recursive: true }),
  }
})

describe('an LMDB event log that several processes use', () => {
  let folder: string
  let clock: ManualClock
  let failpoints: ArmedFailpoints
  let owner: EventLog
  let opened: EventLog[]
  const spec = topicSpec({ name: 't', partitions: 2, retentionMs: 1_000_000 })

  const open = async (access: Access): Promise<EventLog> => {
    const log = await openLmdbEventLog({ folder, mapBytes: MAP_BYTES, clock, failpoints, access })
    opened.push(log)
    return log
  }
  beforeEach(async () => {
    folder = await temporaryFolder()
    clock = new ManualClock()
    failpoints = new ArmedFailpoints()
    opened = []
    owner = await open('owner')
    await owner.ensureTopics([spec])
  })
  afterEach(async () => {
    for (const log of opened) await log.close()
    await rm(folder, { recursive: true })
  })
  const textsOf = async (log: EventLog, topic = 't'): Promise<string[]> =>
    (await log.read(topic, 0, ALL)).records.map(textOf)

  describe('a guest', () => {
    it('appends between the appends of an owner, which goes on after them', async () => {
      const guest = await open('guest')
      for (const [index, log] of [owner, guest, guest, owner, guest, owner].entries())
        expect(await log.append('t', 0, [record(`${index}`)])).toMatchObject({ baseOffset: index })
      expect(await textsOf(owner)).toEqual(['0', '1', '2', '3', '4', '5'])
      expect(await textsOf(guest)).toEqual(['0', '1', '2', '3', '4', '5'])
    })

    it('may come between the preparation of a commit and the commit, which is prepared again', async () => {
      const guest = await open('guest')
      failpoints.arm('log.beforeCommit', async () => {
        failpoints.arm('log.beforeCommit', undefined)
        await guest.append('t', 0, [record('guest')])
        await guest.ensureTopics([topicSpec({ name: 'new', partitions: 1 })])
      })
      const appends = [
        owner.append('t', 0, [record('a'), record('b')]),
        owner.append('t', 0, [record('c')]),
        owner.append('t', 1, [record('elsewhere')]),
        owner.ensureTopics([topicSpec({ name: 'newer', partitions: 1 })]),
      ]
      expect(await Promise.all(appends)).toMatchObject([
        { baseOffset: 1 },
        { baseOffset: 3 },
        { baseOffset: 0 },
        undefined,
      ])
      expect(await textsOf(owner)).toEqual(['guest', 'a', 'b', 'c'])
      await owner.append('new', 0, [record('x')])
      await owner.append('newer', 0, [record('y')])
      expect(await textsOf(guest, 'new')).toEqual(['x'])
      expect(await textsOf(guest, 'newer')).toEqual(['y'])
    })

    it('wakes the owner’s waiting reads within the period in which it looks', async () => {
      const guest = await open('guest')
      const waiting = owner.read('t', 0, { ...ALL, waitMs: 60_000 })
      await guest.append('t', 0, [record('guest')])
      await clock.advance(FOLLOW_PERIOD_MS)
      expect((await waiting).records.map(textOf)).toEqual(['guest'])
      expect(await owner.offsets('t', 0)).toEqual({ start: 0, end: 1 })
    })

    it('wakes the owner’s waiting reads at the owner’s next commit, of whatever partition', async () => {
      const guest = await open('guest')
      const waiting = owner.read('t', 0, { ...ALL, waitMs: 60_000 })
      await guest.append('t', 0, [record('guest')])
      await owner.append('t', 1, [record('owner')])
      expect((await waiting).records.map(textOf)).toEqual(['guest'])
    })

    it('gives append times that never fall, whatever its clock says', async () => {
      await clock.advance(10_000)
      const { appendTimeMs } = await owner.append('t', 0, [record('a')])
      const behind = new ManualClock()
      const options = { folder, mapBytes: MAP_BYTES, clock: behind, access: 'guest' } as const
      const guest = await openLmdbEventLog(options)
      opened.push(guest)
      expect(await guest.append('t', 0, [record('b')])).toMatchObject({ appendTimeMs })
      await behind.advance(50_000)
      const ahead = await guest.append('t', 0, [record('c')])
      expect(ahead.appendTimeMs).toBe(behind.nowMs())
      const next = await owner.append('t', 0, [record('d')])
      expect(next.appendTimeMs).toBe(ahead.appendTimeMs)
    })

    it('writes nothing of a commit that fails, and fences nobody by it', async () => {
      const guest = await open('guest')
      failpoints.arm('log.beforeCommit', () => {
        throw new Error('no commit')
      })
      const failed = guest.append('t', 0, [record('a')])
      await expect(failed).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
      failpoints.arm('log.beforeCommit', undefined)
      expect(await owner.append('t', 0, [record('b')])).toMatchObject({ baseOffset: 0 })
      expect(await guest.append('t', 0, [record('c')])).toMatchObject({ baseOffset: 1 })
    })

    it('may apply the retention; the owner deletes no record twice', async () => {
      const guest = await open('guest')
      await owner.append('t', 0, [record('a'), record('b')])
      await clock.advance(spec.retentionMs / 2)
      await owner.append('t', 0, [record('c')])
      await clock.advance(spec.retentionMs / 2 + 1)
      const removed = await Promise.all([guest.applyRetention(), owner.applyRetention()])
      expect(removed.reduce((sum, count) => sum + count)).toBe(2)
      await owner.append('t', 0, [record('d')])
      for (const log of [owner, guest])
        expect(await log.offsets('t', 0)).toEqual({ start: 2, end: 4 })
    })

    it('does not hide from an owner that another one took over', async () => {
      const guest = await open('guest')
      const second = await open('owner')
      await guest.append('t', 0, [record('guest')])
      await clock.advance(FOLLOW_PERIOD_MS)
      const overtaken = owner.append('t', 0, [record('lost')])
      await expect(overtaken).rejects.toMatchObject({ code: 'LOG_OVERTAKEN' })
      await second.append('t', 0, [record('second')])
      await guest.append('t', 0, [record('guest')])
      expect(await textsOf(guest)).toEqual(['guest', 'second', 'guest'])
    })
  })

  describe('a reader', () => {
    it('sees what is written after it was opened, new topics included', async () => {
      const reader = await open('reader')
      expect(await reader.offsets('t', 0)).toEqual({ start: 0, end: 0 })
      await owner.append('t', 0, [record('a')])
      expect(await textsOf(reader)).toEqual(['a'])
      await expect(reader.describeTopic('new')).rejects.toMatchObject({ code: 'LOG_TOPIC_UNKNOWN' })
      await owner.ensureTopics([topicSpec({ name: 'new' })])
      await owner.append('new', 0, [record('b')])
      expect(await reader.describeTopic('new')).toEqual(await owner.describeTopic('new'))
      expect(await textsOf(reader, 'new')).toEqual(['b'])
    })

    it('waits for records by looking for them in each period, and no longer than it was told', async () => {
      const reader = await open('reader')
      const waiting = reader.read('t', 0, { ...ALL, waitMs: 60_000 })
      await owner.append('t', 0, [record('a')])
      await clock.advance(FOLLOW_PERIOD_MS)
      expect((await waiting).records.map(textOf)).toEqual(['a'])
      const inVain = reader.read('t', 0, { ...ALL, fromOffset: 1, waitMs: 5 * FOLLOW_PERIOD_MS })
      await clock.advance(5 * FOLLOW_PERIOD_MS)
      expect(await inVain).toEqual({ records: [], endOffset: 1 })
    })

    it('lets a bounded number of reads wait for a partition', async () => {
      const reader = await open('reader')
      const request = { ...ALL, waitMs: 1_000 }
      const waiting = Array.from({ length: WAITING_READS_MAX }, () => reader.read('t', 0, request))
      await expect(reader.read('t', 0, request)).rejects.toThrow(`${WAITING_READS_MAX}`)
      await reader.close()
      await Promise.all(waiting)
    })

    it('learns that records it needed are gone, and never jumps over them', async () => {
      const reader = await open('reader')
      await owner.append('t', 0, [record('a')])
      expect(await textsOf(reader)).toEqual(['a'])
      await clock.advance(spec.retentionMs + 1)
      await owner.append('t', 0, [record('b')])
      await owner.applyRetention()
      const lost = reader.read('t', 0, ALL)
      await expect(lost).rejects.toMatchObject({ code: 'LOG_OFFSET_OUT_OF_RANGE' })
      expect(await reader.readAt('t', [{ partition: 0, offset: 0 }])).toEqual([undefined])
      expect(await reader.offsets('t', 0)).toEqual({ start: 1, end: 2 })
    })

    it('sees what groups have committed', async () => {
      const reader = await open('reader')
      const idle = {
        assigned: async () => undefined,
        revoked: async () => undefined,
        lost: async () => undefined,
      }
      const member = await owner.joinGroup('g', 't', idle)
      await member.commit(0, 7, member.generation)
      expect(await reader.committedOffset('g', 't', 0)).toBe(7)
    })

    it('refuses every write, and overtakes nobody', async () => {
      const reader = await open('reader')
      const idle = {
        assigned: async () => undefined,
        revoked: async () => undefined,
        lost: async () => undefined,
      }
      const refused = { code: 'LOG_READ_ONLY', spec: { retryable: false } }
      for (const write of [
        reader.append('t', 0, [record('a')]),
        reader.ensureTopics([spec]),
        reader.joinGroup('g', 't', idle),
        reader.applyRetention(),
      ])
        await expect(write).rejects.toMatchObject(refused)
      expect(await owner.append('t', 0, [record('b')])).toMatchObject({ baseOffset: 0 })
    })

    it('does not open, nor make, a log that is not there', async () => {
      const options = { mapBytes: MAP_BYTES, clock, access: 'reader' } as const
      const absent = join(folder, 'absent')
      await expect(openLmdbEventLog({ ...options, folder: absent })).rejects.toMatchObject({
        code: 'LOG_UNAVAILABLE',
      })
      expect(existsSync(absent)).toBe(false)
    })
  })
})

/** The log of `owner` as `reader` sees it. */
function readsFrom(reader: EventLog, owner: EventLog): EventLog {
  return {
    ensureTopics: (topics) => owner.ensureTopics(topics),
    append: (...args) => owner.append(...args),
    joinGroup: (...args) => owner.joinGroup(...args),
    applyRetention: () => owner.applyRetention(),
    describeTopic: (topic) => reader.describeTopic(topic),
    read: (...args) => reader.read(...args),
    readAt: (...args) => reader.readAt(...args),
    offsets: (...args) => reader.offsets(...args),
    committedOffset: (...args) => reader.committedOffset(...args),
    async close() {
      await reader.close()
      await owner.close()
    },
  }
}

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'backhaul-log-'))
}
