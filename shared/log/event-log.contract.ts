/** The contract of `EventLog` as tests; every adapter runs them. */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  READ_AT_MAX_POSITIONS,
  type EventLog,
  type GroupHandler,
  type LogRecord,
  type NewRecord,
  type ReadRequest,
  type TopicSpec,
} from './event-log.ts'

/** One storage of an adapter, empty or with topics that no test names. */
export interface EventLogHarness {
  /** Opens the log on this storage; handles opened before are closed. */
  open(): Promise<EventLog>
  dispose(): Promise<void>
}

const ALL: ReadRequest = { fromOffset: 0, maxRecords: 10_000, maxBytes: 1 << 24, waitMs: 0 }
const DAY_MS = 86_400_000

export function topicSpec(overrides: Partial<TopicSpec> = {}): TopicSpec {
  return {
    name: `topic-${randomUUID()}`,
    partitions: 3,
    retentionMs: 7 * DAY_MS,
    retentionBytes: 1 << 30,
    ...overrides,
  }
}

export function record(text: string, overrides: Partial<NewRecord> = {}): NewRecord {
  return { key: undefined, value: Buffer.from(text), headers: {}, ...overrides }
}

export function textOf({ value }: LogRecord): string {
  return Buffer.from(value).toString()
}

export function describeEventLog(
  name: string,
  createHarness: () => Promise<EventLogHarness>,
): void {
  describe(`${name} keeps the event log contract`, () => {
    let harness: EventLogHarness
    let log: EventLog
    let topic: string

    beforeEach(async () => {
      harness = await createHarness()
      log = await harness.open()
      const spec = topicSpec()
      topic = spec.name
      await log.ensureTopics([spec])
    })
    afterEach(async () => {
      await log.close()
      await harness.dispose()
    })

    const reopen = async (): Promise<void> => {
      await log.close()
      log = await harness.open()
    }
    const readAll = async (partition: number): Promise<readonly LogRecord[]> =>
      (await log.read(topic, partition, ALL)).records

    describe('topics', () => {
      it('have an identity of their own that a second call and a reopening leave as it is', async () => {
        const other = topicSpec({ partitions: 5 })
        await log.ensureTopics([other, topicSpec()])
        const first = await log.describeTopic(topic)
        const second = await log.describeTopic(other.name)
        expect(first).toMatchObject({ partitions: 3 })
        expect(second).toMatchObject({ partitions: 5 })
        expect(first.topicId).not.toBe(second.topicId)
        await reopen()
        await log.ensureTopics([other])
        expect(await log.describeTopic(topic)).toEqual(first)
        expect(await log.describeTopic(other.name)).toEqual(second)
      })

      it('are created once by calls that run at the same time', async () => {
        const spec = topicSpec()
        await Promise.all([log.ensureTopics([spec]), log.ensureTopics([spec])])
        const { baseOffset } = await log.append(spec.name, 0, [record('a')])
        expect(baseOffset).toBe(0)
      })

      it('refuse another number of partitions', async () => {
        const ensured = log.ensureTopics([topicSpec({ name: topic, partitions: 4 })])
        await expect(ensured).rejects.toMatchObject({ code: 'LOG_TOPIC_MISMATCH' })
        expect(await log.describeTopic(topic)).toMatchObject({ partitions: 3 })
      })

      it('must exist before they are used', async () => {
        const unknown = { code: 'LOG_TOPIC_UNKNOWN' }
        await expect(log.describeTopic('absent')).rejects.toMatchObject(unknown)
        await expect(log.append('absent', 0, [record('a')])).rejects.toMatchObject(unknown)
        await expect(log.read('absent', 0, ALL)).rejects.toMatchObject(unknown)
        await expect(log.offsets('absent', 0)).rejects.toMatchObject(unknown)
      })
    })

    describe('append', () => {
      it('gives offsets from 0 without gaps, for each partition apart', async () => {
        expect(await log.append(topic, 0, [record('a'), record('b')])).toMatchObject({
          baseOffset: 0,
        })
        expect(await log.append(topic, 0, [record('c')])).toMatchObject({ baseOffset: 2 })
        expect(await log.append(topic, 1, [record('d')])).toMatchObject({ baseOffset: 0 })
        expect(await log.offsets(topic, 0)).toEqual({ start: 0, end: 3 })
        expect(await log.offsets(topic, 1)).toEqual({ start: 0, end: 1 })
        expect(await log.offsets(topic, 2)).toEqual({ start: 0, end: 0 })
      })

      it('says the append time that its records carry, which never decreases', async () => {
        const times: number[] = []
        for (let index = 0; index < 5; index += 1) {
          const { appendTimeMs } = await log.append(topic, 0, [record('a'), record('b')])
          times.push(appendTimeMs, appendTimeMs)
        }
        expect((await readAll(0)).map(({ loggedAtMs }) => loggedAtMs)).toEqual(times)
        expect(times).toEqual(ascending(times))
      })

      it('keeps the order of calls to many partitions at once', async () => {
        const lanes = [0, 1, 2].map(async (partition) => {
          for (let index = 0; index < 20; index += 1)
            await log.append(topic, partition, [record(`${partition}.${index}`)])
        })
        await Promise.all(lanes)
        for (const partition of [0, 1, 2]) {
          const records = await readAll(partition)
          expect(records.map(textOf)).toEqual(range(20).map((index) => `${partition}.${index}`))
          expect(records.map(({ offset }) => offset)).toEqual(range(20))
        }
      })

      it('brings back keys, headers and values as they were', async () => {
        const text = fc.string({ unit: 'binary', maxLength: 40 })
        const headerName = text.filter((name) => name !== '__proto__')
        const anyRecord = fc.record({
          key: fc.option(text, { nil: undefined }),
          value: fc.uint8Array({ maxLength: 300 }),
          headers: fc.dictionary(headerName, text, { maxKeys: 4, noNullPrototype: true }),
        })
        const appends = fc.array(fc.array(anyRecord, { minLength: 1, maxLength: 4 }), {
          minLength: 1,
          maxLength: 4,
        })
        await fc.assert(
          fc.asyncProperty(appends, async (calls) => {
            const spec = topicSpec({ partitions: 1 })
            await log.ensureTopics([spec])
            for (const records of calls) await log.append(spec.name, 0, records)
            const { records } = await log.read(spec.name, 0, ALL)
            expect(records.map(plain)).toEqual(calls.flat().map(plain))
          }),
          { numRuns: 12 },
        )
      })

      it('takes a record without key and with an empty value, as ticks are', async () => {
        await log.append(topic, 0, [
          { key: undefined, value: new Uint8Array(0), headers: { schema: 'tick.v1' } },
        ])
        const [tick] = await readAll(0)
        expect(tick).toMatchObject({ key: undefined, headers: { schema: 'tick.v1' } })
        expect(tick?.value.byteLength).toBe(0)
      })

      it('takes the end of a key, which has no value', async () => {
        await log.append(topic, 0, [record('a', { key: 'k' }), record('', { key: 'k' })])
        const read = await readAll(0)
        expect(read.map(({ key, value }) => [key, value.byteLength])).toEqual([
          ['k', 1],
          ['k', 0],
        ])
      })

      it('is still there, and goes on at the next offset, after the log was opened anew', async () => {
        const { appendTimeMs } = await log.append(topic, 2, [
          record('a', { key: 'k' }),
          record('b'),
        ])
        await reopen()
        expect((await readAll(2)).map(textOf)).toEqual(['a', 'b'])
        const next = await log.append(topic, 2, [record('c')])
        expect(next.baseOffset).toBe(2)
        expect(next.appendTimeMs).toBeGreaterThanOrEqual(appendTimeMs)
      })
    })

    describe('read', () => {
      beforeEach(async () => {
        await log.append(
          topic,
          0,
          range(10).map((index) => record(`value-${index}`)),
        )
      })

      it('begins at the offset asked for and tells the end of the log', async () => {
        const { records, endOffset } = await log.read(topic, 0, { ...ALL, fromOffset: 7 })
        expect(records.map(textOf)).toEqual(['value-7', 'value-8', 'value-9'])
        expect(records.map(({ offset, partition }) => [partition, offset])).toEqual([
          [0, 7],
          [0, 8],
          [0, 9],
        ])
        expect(endOffset).toBe(10)
      })

      it('gives at most as many records as asked for', async () => {
        const { records } = await log.read(topic, 0, { ...ALL, maxRecords: 4 })
        expect(records.map(({ offset }) => offset)).toEqual([0, 1, 2, 3])
      })

      it('stays within the bytes asked for, but gives one record however large', async () => {
        const within = await log.read(topic, 0, { ...ALL, maxBytes: 'value-0'.length * 3 })
        expect(within.records).toHaveLength(3)
        const one = await log.read(topic, 0, { ...ALL, maxBytes: 1 })
        expect(one.records).toHaveLength(1)
      })

      it('waits for the first record and wakes at its append', async () => {
        const waiting = log.read(topic, 0, { ...ALL, fromOffset: 10, waitMs: 15_000 })
        const elsewhere = log.read(topic, 1, { ...ALL, waitMs: 15_000 })
        await log.append(topic, 0, [record('ten')])
        expect((await waiting).records.map(textOf)).toEqual(['ten'])
        await log.append(topic, 1, [record('zero')])
        expect((await elsewhere).records.map(textOf)).toEqual(['zero'])
      })

      it('resolves empty when its time is over', async () => {
        const read = await log.read(topic, 0, { ...ALL, fromOffset: 10, waitMs: 20 })
        expect(read).toEqual({ records: [], endOffset: 10 })
      })

      it('resolves empty when it is aborted, before or while it waits', async () => {
        const waiting = new AbortController()
        const read = { ...ALL, fromOffset: 10, waitMs: 15_000 }
        const first = log.read(topic, 0, { ...read, signal: waiting.signal })
        waiting.abort()
        expect((await first).records).toEqual([])
        const second = await log.read(topic, 0, { ...read, signal: AbortSignal.abort() })
        expect(second.records).toEqual([])
      })

      it('refuses an offset beyond the end, and never jumps', async () => {
        const beyond = log.read(topic, 0, { ...ALL, fromOffset: 11 })
        await expect(beyond).rejects.toMatchObject({ code: 'LOG_OFFSET_OUT_OF_RANGE' })
      })
    })

    describe('readAt', () => {
      it('answers in the order of the positions, over all partitions', async () => {
        await log.append(topic, 0, [record('a0'), record('a1')])
        await log.append(topic, 0, [record('a2')])
        await log.append(topic, 2, [record('c0')])
        const positions = [
          { partition: 0, offset: 2 },
          { partition: 2, offset: 0 },
          { partition: 0, offset: 0 },
          { partition: 0, offset: 1 },
        ]
        const found = await log.readAt(topic, positions)
        expect(found.map((entry) => entry && textOf(entry))).toEqual(['a2', 'c0', 'a0', 'a1'])
        expect(
          found.map((entry) => entry && { partition: entry.partition, offset: entry.offset }),
        ).toEqual(positions)
      })

      it('answers undefined where there is no record', async () => {
        await log.append(topic, 0, [record('a0')])
        const found = await log.readAt(topic, [
          { partition: 0, offset: 1 },
          { partition: 1, offset: 0 },
          { partition: 0, offset: 0 },
        ])
        expect(found.map((entry) => entry && textOf(entry))).toEqual([undefined, undefined, 'a0'])
      })

      it('refuses more positions than one call may have', async () => {
        const positions = range(READ_AT_MAX_POSITIONS + 1).map((offset) => ({
          partition: 0,
          offset,
        }))
        await expect(log.readAt(topic, positions)).rejects.toThrow(`${READ_AT_MAX_POSITIONS}`)
        expect(await log.readAt(topic, positions.slice(1))).toHaveLength(READ_AT_MAX_POSITIONS)
      })
    })

    describe('groups', () => {
      it('give a lone member every partition and keep what it commits', async () => {
        const alone = new RecordingHandler()
        const member = await log.joinGroup('g', topic, alone)
        await expect.poll(() => alone.sorted).toEqual([0, 1, 2])
        expect(await log.committedOffset('g', topic, 1)).toBeUndefined()
        await member.commit(1, 42, member.generation)
        expect(await log.committedOffset('g', topic, 1)).toBe(42)
        expect(await log.committedOffset('g', topic, 0)).toBeUndefined()
        expect(await log.committedOffset('other', topic, 1)).toBeUndefined()
        await member.leave()
        await reopen()
        expect(await log.committedOffset('g', topic, 1)).toBe(42)
      })

      it('share the partitions among the members alive, revoking before assigning', async () => {
        const [first, second] = [new RecordingHandler(), new RecordingHandler()]
        const one = await log.joinGroup('g', topic, first)
        await expect.poll(() => first.sorted).toEqual([0, 1, 2])
        const before = one.generation
        const two = await log.joinGroup('g', topic, second)
        await expect.poll(() => ascending([...first.owned, ...second.owned])).toEqual([0, 1, 2])
        expect(first.owned.length).toBeGreaterThan(0)
        expect(second.owned.length).toBeGreaterThan(0)
        expect(first.overlapped || second.overlapped).toBe(false)
        expect(one.generation).toBeGreaterThan(before)
        expect(two.generation).toBe(one.generation)
        await one.leave()
        expect(first.owned).toEqual([])
        await expect.poll(() => second.sorted).toEqual([0, 1, 2])
        await two.leave()
      })

      it('wait for the work on revoked partitions to end before others get them', async () => {
        const order: string[] = []
        const { promise: workEnded, resolve: endWork } = Promise.withResolvers<void>()
        const one = await log.joinGroup('g', topic, {
          assigned: async () => undefined,
          lost: async () => undefined,
          revoked: async () => {
            order.push('revoked')
            await workEnded
            order.push('ended')
          },
        })
        const joining = log.joinGroup('g', topic, {
          assigned: async () => void order.push('begun'),
          revoked: async () => undefined,
          lost: async () => undefined,
        })
        await expect.poll(() => order).toEqual(['revoked'])
        endWork()
        const two = await joining
        await expect.poll(() => order).toEqual(['revoked', 'ended', 'begun'])
        await two.leave()
        await one.leave()
      })

      it('refuse a commit of an older generation and of a member that left', async () => {
        const fenced = { code: 'LOG_GROUP_FENCED' }
        const one = await log.joinGroup('g', topic, new RecordingHandler())
        const old = one.generation
        const two = await log.joinGroup('g', topic, new RecordingHandler())
        await expect.poll(() => one.generation).toBeGreaterThan(old)
        for (const partition of [0, 1, 2])
          await expect(one.commit(partition, 9, old)).rejects.toMatchObject(fenced)
        const generation = two.generation
        await two.leave()
        await expect(two.commit(1, 9, generation)).rejects.toMatchObject(fenced)
        expect(await log.committedOffset('g', topic, 0)).toBeUndefined()
        await one.leave()
      })
    })

    describe('close', () => {
      it('ends waiting reads empty and refuses what comes later', async () => {
        const waiting = log.read(topic, 0, { ...ALL, waitMs: 15_000 })
        await log.close()
        expect((await waiting).records).toEqual([])
        const closed = { code: 'LOG_CLOSED' }
        await expect(log.append(topic, 0, [record('a')])).rejects.toMatchObject(closed)
        await expect(log.read(topic, 0, ALL)).rejects.toMatchObject(closed)
        await expect(log.describeTopic(topic)).rejects.toMatchObject(closed)
      })

      it('waits for the appends under way, which stay', async () => {
        const appends = range(10).map((index) => log.append(topic, 0, [record(`${index}`)]))
        const closing = log.close()
        await Promise.all(appends)
        await closing
        log = await harness.open()
        expect(await log.offsets(topic, 0)).toEqual({ start: 0, end: 10 })
      })
    })
  })
}

/** Remembers what it owns, and whether it was ever given something before it gave up the rest. */
class RecordingHandler implements GroupHandler {
  owned: readonly number[] = []
  overlapped = false

  async assigned(partitions: readonly number[]): Promise<void> {
    if (this.owned.length > 0) this.overlapped = true
    this.owned = partitions
  }

  async revoked(partitions: readonly number[]): Promise<void> {
    this.owned = this.owned.filter((partition) => !partitions.includes(partition))
  }

  lost(partitions: readonly number[]): Promise<void> {
    return this.revoked(partitions)
  }

  /** What it owns, in order. */
  get sorted(): number[] {
    return ascending(this.owned)
  }
}

function plain({ key, value, headers }: NewRecord): unknown {
  return {
    key,
    value: Buffer.from(value).toString('hex'),
    headers: new Map(Object.entries(headers)),
  }
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

function ascending(numbers: readonly number[]): number[] {
  return numbers.toSorted((a, b) => a - b)
}
