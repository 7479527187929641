import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ManualClock, systemClock } from '../runtime/clock.ts'
import { ArmedFailpoints } from '../runtime/failpoints.ts'
import { createTelemetryBase } from '../runtime/telemetry.ts'
import { describeEventLog, record, textOf, topicSpec } from './event-log.contract.ts'
import type { EventLog, ReadRequest } from './event-log.ts'
import { metricIn } from '../lmdb/testing/metric-in.ts'
import { openLmdbEventLog } from './lmdb-event-log.ts'
import {
  APPEND_QUEUE_MAX_BYTES,
  APPEND_QUEUE_MAX_CALLS,
  RECORD_MAX_BYTES,
  RETENTION_PERIOD_MS,
  RETENTION_SLICE_CHUNKS,
  WAITING_READS_MAX,
} from './lmdb-limits.ts'

const MAP_BYTES = 256 * 1024 * 1024
/** Labels of the first partition of the tests’ topic. */
const OF_FIRST = 'topic="t",partition="0"'
const ALL: ReadRequest = { fromOffset: 0, maxRecords: 10_000, maxBytes: 1 << 28, waitMs: 0 }

describeEventLog('the LMDB event log', async () => {
  const folder = await temporaryFolder()
  return {
    open: () => openLmdbEventLog({ folder, mapBytes: MAP_BYTES, clock: systemClock }),
    dispose: () => rm(folder, { recursive: true }),
  }
})

describe('the LMDB event log', () => {
  let folder: string
  let clock: SteppingClock
  let failpoints: ArmedFailpoints
  let log: EventLog
  const spec = topicSpec({ name: 't', partitions: 4, retentionMs: 1_000_000 })

  const open = async (mapBytes = MAP_BYTES): Promise<void> => {
    log = await openLmdbEventLog({ folder, mapBytes, clock, failpoints })
    await log.ensureTopics([spec])
  }
  beforeEach(async () => {
    folder = await temporaryFolder()
    clock = new SteppingClock()
    failpoints = new ArmedFailpoints()
    await open()
  })
  afterEach(async () => {
    await log.close()
    await rm(folder, { recursive: true })
  })

  it('acknowledges an append when its transaction was synced, never at commit', async () => {
    for (let index = 0; index < 20; index += 1) {
      const appending = log.append('t', index % 4, [record(`${index}`)])
      const before = newestTransaction(folder)
      await appending
      const acknowledged = newestTransaction(folder)
      expect(acknowledged.id).toBeGreaterThan(before.id)
      expect(acknowledged.synced).toBe(true)
    }
  })

  it('lets many appends share a commit and its flush', async () => {
    let commits = 0
    failpoints.arm('log.beforeCommit', () => void (commits += 1))
    const appends = Array.from({ length: 100 }, (_, index) =>
      log.append('t', index % 4, [record(`${index}`)]),
    )
    await Promise.all(appends)
    expect(commits).toBeLessThanOrEqual(3)
    expect(await log.offsets('t', 0)).toEqual({ start: 0, end: 25 })
  })

  it('shares the next commit among the appends that come while one is on its way', async () => {
    let commits = 0
    const gate = new Gate()
    failpoints.arm('log.beforeCommit', () => ((commits += 1), gate.opened))
    const first = log.append('t', 0, [record('first')])
    await expect.poll(() => commits).toBe(1)
    const later = Array.from({ length: 50 }, (_, index) =>
      log.append('t', index % 4, [record(`${index}`)]),
    )
    gate.open()
    await Promise.all([first, ...later])
    expect(commits).toBe(2)
  })

  it('appends nothing when the commit fails, and goes on at the same offset', async () => {
    failpoints.arm('log.beforeCommit', () => {
      throw new Error('no commit')
    })
    const failing = [
      log.append('t', 0, [record('a')]),
      log.append('t', 0, [record('b')]),
      log.append('t', 1, [record('c')]),
    ]
    for (const appended of failing)
      await expect(appended).rejects.toMatchObject({
        code: 'LOG_UNAVAILABLE',
        spec: { retryable: true },
      })
    failpoints.arm('log.beforeCommit', undefined)
    expect(await log.append('t', 0, [record('d')])).toMatchObject({ baseOffset: 0 })
    expect(await log.offsets('t', 1)).toEqual({ start: 0, end: 0 })
  })

  it('has appended what fails after the commit', async () => {
    failpoints.arm('log.afterCommit', () => {
      throw new Error('the answer is lost')
    })
    const lost = log.append('t', 0, [record('a')])
    await expect(lost).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
    failpoints.arm('log.afterCommit', undefined)
    expect(await log.append('t', 0, [record('a')])).toMatchObject({ baseOffset: 1 })
    const { records } = await log.read('t', 0, ALL)
    expect(records.map(textOf)).toEqual(['a', 'a'])
  })

  it('takes append times from the clock, but never an earlier one than before', async () => {
    const first = await log.append('t', 0, [record('a')])
    expect(first.appendTimeMs).toBe(clock.nowMs())
    clock.stepMs = -60_000
    const second = await log.append('t', 0, [record('b')])
    expect(second.appendTimeMs).toBe(first.appendTimeMs)
    const elsewhere = await log.append('t', 1, [record('c')])
    expect(elsewhere.appendTimeMs).toBe(clock.nowMs())
    await log.close()
    await open()
    const third = await log.append('t', 0, [record('d')])
    expect(third.appendTimeMs).toBe(first.appendTimeMs)
  })

  it('names the setting when a topic has another number of partitions', async () => {
    await expect(log.ensureTopics([{ ...spec, partitions: 5 }])).rejects.toThrow(
      /LOG_TOPIC_MISMATCH.*BACKHAUL_PARTITIONS to be the 4 partitions that t has, received 5/,
    )
  })

  it('wakes a waiting read at the time it was given', async () => {
    const waiting = log.read('t', 0, { ...ALL, waitMs: 5_000 })
    let ended = false
    void waiting.then(() => (ended = true))
    await clock.advance(4_999)
    expect(ended).toBe(false)
    await clock.advance(1)
    expect((await waiting).records).toEqual([])
  })

  describe('bounds', () => {
    it('takes a record of the largest size and refuses one of a byte more', async () => {
      const headerBytes = 8
      const largest = Buffer.alloc(RECORD_MAX_BYTES - headerBytes, 7)
      await log.append('t', 0, [record('', { value: largest })])
      const larger = Buffer.alloc(largest.length + 1)
      const refused = log.append('t', 0, [record('small'), record('', { value: larger })])
      await expect(refused).rejects.toMatchObject({ code: 'LOG_RECORD_TOO_LARGE' })
      const [read, ...none] = (await log.read('t', 0, ALL)).records
      expect(largest.equals(read?.value ?? new Uint8Array())).toBe(true)
      expect(none).toEqual([])
    })

    it('refuses a key or header longer than its length field can say', async () => {
      const text = 'x'.repeat(70_000)
      for (const long of [record('', { key: text }), record('', { headers: { a: text } })])
        await expect(log.append('t', 0, [long])).rejects.toMatchObject({
          code: 'LOG_RECORD_TOO_LARGE',
        })
    })

    it('refuses appends beyond its queue as unavailable', async () => {
      const gate = new Gate()
      failpoints.arm('log.beforeCommit', () => gate.opened)
      const taken = log.append('t', 0, [record('taken')])
      await nextTurns(2)
      const queued = Array.from({ length: APPEND_QUEUE_MAX_CALLS }, () =>
        log.append('t', 0, [record('q')]),
      )
      const refused = log.append('t', 0, [record('one more')])
      await expect(refused).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
      gate.open()
      await Promise.all([taken, ...queued])
      expect((await log.offsets('t', 0)).end).toBe(APPEND_QUEUE_MAX_CALLS + 1)
    })

    it('lets a bounded number of reads wait for a partition', async () => {
      const stop = new AbortController()
      const request = { ...ALL, waitMs: 1_000, signal: stop.signal }
      const waiting = Array.from({ length: WAITING_READS_MAX }, () => log.read('t', 0, request))
      await expect(log.read('t', 0, request)).rejects.toThrow(`${WAITING_READS_MAX}`)
      stop.abort()
      await Promise.all(waiting)
      expect((await log.read('t', 0, { ...ALL, waitMs: 0 })).records).toEqual([])
    })
  })

  describe('retention', () => {
    it('deletes what is older than the topic keeps, and nothing younger', async () => {
      await log.append('t', 0, [record('a'), record('b')])
      await clock.advance(600_000)
      await log.append('t', 0, [record('c')])
      await log.append('t', 1, [record('d')])
      clock.stepMs += spec.retentionMs - 600_000
      expect(await log.applyRetention()).toBe(0)
      clock.stepMs += 1
      expect(await log.applyRetention()).toBe(2)
      expect(await log.offsets('t', 0)).toEqual({ start: 2, end: 3 })
      expect(await log.offsets('t', 1)).toEqual({ start: 0, end: 1 })
      const { records } = await log.read('t', 0, { ...ALL, fromOffset: 2 })
      expect(records.map(textOf)).toEqual(['c'])
    })

    it('is data loss for who still needed the offset, and absent for who reads by position', async () => {
      await log.append('t', 0, [record('a')])
      clock.stepMs += spec.retentionMs + 1
      await log.append('t', 0, [record('b')])
      await log.applyRetention()
      const lost = log.read('t', 0, ALL)
      await expect(lost).rejects.toMatchObject({ code: 'LOG_OFFSET_OUT_OF_RANGE' })
      const found = await log.readAt('t', [
        { partition: 0, offset: 0 },
        { partition: 0, offset: 1 },
      ])
      expect(found.map((entry) => entry && textOf(entry))).toEqual([undefined, 'b'])
    })

    it.each([
      ['some', 1],
      ['all', 2],
    ])('never lets a read jump over %s records that go at that moment', async (_, ages) => {
      await log.append('t', 0, [record('a')])
      for (let age = 0; age < 2; age += 1) {
        if (age === ages - 1) clock.stepMs += spec.retentionMs + 1
        if (age === 0) await log.append('t', 0, [record('b')])
      }
      const gate = new Gate()
      let committed = false
      failpoints.arm('log.afterCommit', () => ((committed = true), gate.opened))
      const removing = log.applyRetention()
      await expect.poll(() => committed).toBe(true)
      const reading = log.read('t', 0, ALL)
      await expect(reading).rejects.toMatchObject({ code: 'LOG_OFFSET_OUT_OF_RANGE' })
      expect(await log.readAt('t', [{ partition: 0, offset: 0 }])).toEqual([undefined])
      gate.open()
      expect(await removing).toBe(ages)
    })

    it('keeps the next offset of a partition that lost all its records', async () => {
      await log.append('t', 0, [record('a'), record('b')])
      clock.stepMs += spec.retentionMs + 1
      expect(await log.applyRetention()).toBe(2)
      await log.close()
      await open()
      expect(await log.offsets('t', 0)).toEqual({ start: 2, end: 2 })
      expect(await log.append('t', 0, [record('c')])).toMatchObject({ baseOffset: 2 })
    })

    it('deletes the oldest records of a partition that holds too many bytes', async () => {
      const small = topicSpec({ partitions: 1, retentionBytes: 10_000 })
      await log.ensureTopics([small])
      const thousand = record('', { value: Buffer.alloc(1_000) })
      for (let index = 0; index < 15; index += 1) await log.append(small.name, 0, [thousand])
      const removed = await log.applyRetention()
      const { start, end } = await log.offsets(small.name, 0)
      expect(end).toBe(15)
      expect(start).toBe(removed)
      // Each record takes its thousand bytes and a few more: nine fit.
      expect(end - start).toBe(9)
      expect(await log.applyRetention()).toBe(0)
    })

    it('deletes more than a slice in several commits', async () => {
      const many = 2 * RETENTION_SLICE_CHUNKS + 10
      await Promise.all(Array.from({ length: many }, () => log.append('t', 0, [record('a')])))
      clock.stepMs += spec.retentionMs + 1
      let commits = 0
      failpoints.arm('log.beforeCommit', () => void (commits += 1))
      expect(await log.applyRetention()).toBe(many)
      // Three slices, and the commit after which the freed pages are used again.
      expect(commits).toBe(4)
    })

    it('runs by itself', async () => {
      await log.append('t', 0, [record('a')])
      clock.stepMs += spec.retentionMs + 1
      await clock.advance(RETENTION_PERIOD_MS)
      await expect.poll(async () => (await log.offsets('t', 0)).start).toBe(1)
    })

    it('is taken over from the latest settings of the topic', async () => {
      await log.append('t', 0, [record('a')])
      await log.ensureTopics([{ ...spec, retentionMs: 10 }])
      clock.stepMs += 11
      expect(await log.applyRetention()).toBe(1)
    })
  })

  describe('when it is full', () => {
    const FULL_MAP_BYTES = 2 * 1024 * 1024
    const block = record('', { value: Buffer.alloc(100_000, 1) })

    const fill = async (): Promise<number> => {
      for (let appended = 0; ; appended += 1) {
        try {
          await log.append('t', 0, [block])
        } catch (error) {
          expect(error).toMatchObject({ code: 'LOG_FULL', spec: { retryable: true } })
          return appended
        }
      }
    }

    it('refuses appends, keeps what it has, and goes on when the retention made room', async () => {
      await log.close()
      await open(FULL_MAP_BYTES)
      const appended = await fill()
      expect(appended).toBeGreaterThan(10)
      expect(await log.offsets('t', 0)).toEqual({ start: 0, end: appended })
      await expect(log.append('t', 1, [block])).rejects.toMatchObject({ code: 'LOG_FULL' })
      clock.stepMs += spec.retentionMs + 1
      expect(await log.applyRetention()).toBe(appended)
      expect(await log.append('t', 0, [block])).toMatchObject({ baseOffset: appended })
    })

    it('does not grow its file with each turn of filling and deleting', async () => {
      await log.close()
      await open(FULL_MAP_BYTES)
      for (let turn = 0; turn < 8; turn += 1) {
        await fill()
        clock.stepMs += spec.retentionMs + 1
        await log.applyRetention()
      }
      const { length } = readFileSync(join(folder, 'data.mdb'))
      expect(length).toBeLessThan(2 * FULL_MAP_BYTES)
    })

    it('appends nothing that the disk refuses, and goes on once there is room', async () => {
      // A limit on the size of files stands for a full disk: the system refuses the write.
      const script = `
        const log = await open(clock)
        const block = { key: undefined, value: Buffer.alloc(100_000), headers: {} }
        let end = 0, failure
        while (failure === undefined)
          await log.append('t', 0, [block]).then(() => { end += 1 }, (error) => { failure = error })
        const full = await log.offsets('t', 0)
        aheadMs = ${spec.retentionMs} * 2
        await log.applyRetention()
        const { baseOffset } = await log.append('t', 0, [block])
        console.log(JSON.stringify({ end, code: failure.code, retryable: failure.spec.retryable, full, baseOffset }))
        await log.close()`
      const lines = await outputOf(childScript(await temporaryChildFolder(folder), script), [
        'ulimit -f 4000',
      ])
      const result = JSON.parse(lines.at(-1) ?? '') as Record<string, unknown>
      expect(result['code']).toMatch(/LOG_(FULL|UNAVAILABLE)/)
      expect(result).toMatchObject({ retryable: true, baseOffset: result['end'] })
      expect(result['full']).toEqual({ start: 0, end: result['end'] })
      expect(result['end']).toBeGreaterThan(5)
    })
  })

  it('refuses everything once LMDB has failed for good, and goes on when it is opened anew', async () => {
    // LMDB writes the page that ends a commit through a descriptor of its own, opened for
    // synchronous writes; closed, it stands for a disk that fails at that moment.
    const script = `
      import { closeSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
      const O_DSYNC = 0o10000
      const log = await open(clock)
      const append = (log) => log.append('t', 0, [{ key: undefined, value: Buffer.from('a'), headers: {} }])
      const all = { fromOffset: 0, maxRecords: 100, maxBytes: 1000, waitMs: 0 }
      await append(log)
      for (const fd of readdirSync('/proc/self/fd')) {
        let path
        try { path = readlinkSync('/proc/self/fd/' + fd) } catch { continue }
        if (!path.endsWith('data.mdb')) continue
        const [, flags] = /flags:\\s*(\\d+)/.exec(readFileSync('/proc/self/fdinfo/' + fd, 'utf8'))
        if (parseInt(flags, 8) & O_DSYNC) closeSync(Number(fd))
      }
      const codes = []
      for (const call of [() => append(log), () => append(log), () => log.read('t', 0, all)])
        await call().then(() => codes.push('done'), (error) => codes.push(error.code))
      await log.close()
      const anew = await open(clock)
      await append(anew)
      const { records } = await anew.read('t', 0, all)
      await anew.close()
      console.log(JSON.stringify({ codes, offsets: records.map(({ offset }) => offset) }))`
    const lines = await outputOf(childScript(await temporaryChildFolder(folder), script), [])
    expect(JSON.parse(lines.at(-1) ?? '')).toEqual({
      codes: ['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE', 'LOG_UNAVAILABLE'],
      offsets: [0, 1],
    })
  })

  describe('metrics', () => {
    let telemetry: ReturnType<typeof createTelemetryBase>

    /** The metric’s value now, that of the partition where it has one. */
    const metric = (name: string, labels = ''): Promise<number> =>
      metricIn(telemetry.registry, name, labels)
    const openMeasured = async (mapBytes: number): Promise<void> => {
      await log.close()
      telemetry = createTelemetryBase('silent')
      log = await openLmdbEventLog({ folder, mapBytes, clock, failpoints, telemetry })
      await log.ensureTopics([spec])
    }

    it('show the bytes in use rise to the budget, and fall again with the retention', async () => {
      const budgetBytes = 2 * 1024 * 1024
      await openMeasured(budgetBytes)
      expect(await metric('log_budget_bytes')).toBe(budgetBytes)
      const block = record('', { value: Buffer.alloc(100_000, 1) })
      const used = [await metric('log_used_bytes')]
      let appended = 0
      while (
        await log.append('t', 0, [block]).then(
          () => true,
          () => false,
        )
      ) {
        appended += 1
        used.push(await metric('log_used_bytes'))
      }
      expect(used).toEqual(used.toSorted((a, b) => a - b))
      expect(used.at(0)).toBeLessThan(budgetBytes / 10)
      // The next block did not fit: an append counts twice its bytes until it is measured.
      expect(used.at(-1)).toBeGreaterThan(budgetBytes - 300_000)
      expect(used.at(-1)).toBeLessThanOrEqual(budgetBytes)
      expect(await metric('log_refused_writes_total', 'code="LOG_FULL"')).toBe(1)
      expect(await metric('log_partition_bytes', OF_FIRST)).toBeGreaterThan(appended * 100_000)
      expect(await metric('log_end_offset', OF_FIRST)).toBe(appended)

      clock.stepMs += spec.retentionMs + 1
      await log.applyRetention()
      expect(await metric('log_used_bytes')).toBeLessThan(budgetBytes / 10)
      expect(await metric('log_partition_bytes', OF_FIRST)).toBe(0)
      expect(await metric('log_start_offset', OF_FIRST)).toBe(appended)
      expect(await metric('log_retention_removed_records_total', 'topic="t"')).toBe(appended)
    })

    it('show the queue at its bound in writes and what was refused beyond', async () => {
      await openMeasured(MAP_BYTES)
      const gate = new Gate()
      failpoints.arm('log.beforeCommit', () => gate.opened)
      const taken = log.append('t', 0, [record('taken')])
      await nextTurns(2)
      const queued = Array.from({ length: APPEND_QUEUE_MAX_CALLS }, () =>
        log.append('t', 0, [record('q')]),
      )
      expect(await metric('log_queued_writes')).toBe(APPEND_QUEUE_MAX_CALLS)
      await expect(log.append('t', 0, [record('one more')])).rejects.toThrow('LOG_UNAVAILABLE')
      expect(await metric('log_queued_writes')).toBe(APPEND_QUEUE_MAX_CALLS)
      expect(await metric('log_refused_writes_total', 'code="LOG_UNAVAILABLE"')).toBe(1)
      gate.open()
      await Promise.all([taken, ...queued])
      expect(await metric('log_queued_writes')).toBe(0)
      expect(await metric('log_queued_bytes')).toBe(0)
    })

    it('show the queue at its bound in bytes', async () => {
      await openMeasured(4 * APPEND_QUEUE_MAX_BYTES)
      const gate = new Gate()
      failpoints.arm('log.beforeCommit', () => gate.opened)
      const appends = [log.append('t', 0, [record('taken')])]
      await nextTurns(2)
      const large = record('', { value: Buffer.alloc(RECORD_MAX_BYTES - 8) })
      const fitting = Math.floor(APPEND_QUEUE_MAX_BYTES / (RECORD_MAX_BYTES + 64))
      for (let index = 0; index < fitting; index += 1) appends.push(log.append('t', 0, [large]))
      await expect(log.append('t', 0, [large])).rejects.toThrow('LOG_UNAVAILABLE')
      expect(await metric('log_queued_bytes')).toBeLessThanOrEqual(APPEND_QUEUE_MAX_BYTES)
      expect(await metric('log_queued_bytes')).toBeGreaterThan(
        APPEND_QUEUE_MAX_BYTES - RECORD_MAX_BYTES - 64,
      )
      failpoints.arm('log.beforeCommit', () => {
        throw new Error('these need not be written')
      })
      gate.open()
      await Promise.allSettled(appends)
      expect(await metric('log_queued_bytes')).toBe(0)
    })

    it('show the reads that wait, and count commits by how they ended', async () => {
      await openMeasured(MAP_BYTES)
      const before = await metric('log_commits_total')
      const reading = log.read('t', 0, { ...ALL, waitMs: 1_000 })
      expect(await metric('log_waiting_reads', OF_FIRST)).toBe(1)
      await log.append('t', 0, [record('a')])
      await reading
      expect(await metric('log_waiting_reads', OF_FIRST)).toBe(0)
      failpoints.arm('log.beforeCommit', () => {
        throw new Error('no commit')
      })
      await expect(log.append('t', 0, [record('b')])).rejects.toThrow('LOG_UNAVAILABLE')
      expect(await metric('log_commits_total')).toBe(before + 1)
      expect(await metric('log_commit_duration_ms_count')).toBe(before + 1)
      expect(await metric('log_commit_failures_total', 'code="LOG_UNAVAILABLE"')).toBe(1)
    })

    it('can still be read when the log is closed', async () => {
      await openMeasured(MAP_BYTES)
      await log.close()
      expect(await metric('log_used_bytes')).toBeGreaterThan(0)
    })
  })

  it('holds everything that was acknowledged before the process was killed', async () => {
    const childFolder = await temporaryChildFolder(folder)
    const script = `
      const log = await open(clock)
      await Promise.all([0, 1, 2, 3].map(async (partition) => {
        for (;;) {
          const value = Buffer.from(String(Math.floor(performance.now() * 1000)))
          const { baseOffset } = await log.append('t', partition, [{ key: 'k', value, headers: {} }])
          process.stdout.write(partition + ' ' + baseOffset + ' ' + value + '\\n')
        }
      }))`
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      childScript(childFolder, script),
    ])
    const acknowledged: { partition: number; offset: number; text: string }[] = []
    for await (const line of createInterface(child.stdout)) {
      const [partition = '', offset = '', text = ''] = line.split(' ')
      acknowledged.push({ partition: Number(partition), offset: Number(offset), text })
      if (acknowledged.length === 200) child.kill('SIGKILL')
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(200)
    const survivor = await openLmdbEventLog({ folder: childFolder, mapBytes: MAP_BYTES, clock })
    try {
      const read = [0, 1, 2, 3].map(async (p) => (await survivor.read('t', p, ALL)).records)
      const texts = (await Promise.all(read)).map((records) => records.map(textOf))
      for (const { partition, offset, text } of acknowledged)
        expect(texts[partition]?.[offset]).toBe(text)
    } finally {
      await survivor.close()
    }
  })

  it('is written by the process that opened it last; the one before is refused', async () => {
    await log.append('t', 0, [record('a')])
    const second = await openLmdbEventLog({ folder, mapBytes: MAP_BYTES, clock })
    const overtaken = log.append('t', 0, [record('b')])
    await expect(overtaken).rejects.toMatchObject({ code: 'LOG_OVERTAKEN' })
    expect(await second.append('t', 0, [record('c')])).toMatchObject({ baseOffset: 1 })
    expect((await second.read('t', 0, ALL)).records.map(textOf)).toEqual(['a', 'c'])
    await second.close()
  })
})

/** A manual clock that can also step, back and forth, without running what falls due. */
class SteppingClock extends ManualClock {
  stepMs = 0

  override nowMs(): number {
    return super.nowMs() + this.stepMs
  }
}

class Gate {
  readonly #resolve: () => void
  readonly opened: Promise<void>

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.opened = promise
    this.#resolve = resolve
  }

  open(): void {
    this.#resolve()
  }
}

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'backhaul-log-'))
}

function temporaryChildFolder(folder: string): Promise<string> {
  return mkdtemp(join(folder, 'child-'))
}

async function nextTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate)
}

/**
 * The newest transaction that LMDB's meta pages speak of, and whether it was synced before that
 * meta page was written: a transaction that is committed first and synced later carries a flag.
 */
function newestTransaction(folder: string): { id: number; synced: boolean } {
  const PAGE = 4096
  const [MAGIC_AT, MAGIC, FLAGS_AT, ID_AT, UNSYNCED] = [24, 0xbeefc0de, 52, 152, 0x1000]
  const file = readFileSync(join(folder, 'data.mdb'))
  const metas = [0, PAGE].map((page) => {
    expect(file.readUInt32LE(page + MAGIC_AT)).toBe(MAGIC)
    return {
      id: Number(file.readBigUInt64LE(page + ID_AT)),
      synced: (file.readUInt16LE(page + FLAGS_AT) & UNSYNCED) === 0,
    }
  })
  return metas.reduce((a, b) => (a.id >= b.id ? a : b))
}

/** A program that has `open` and a `clock` whose time `aheadMs` moves. */
function childScript(folder: string, script: string): string {
  const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  return `
    import { openLmdbEventLog } from ${module('./lmdb-event-log.ts')}
    import { systemClock } from ${module('../runtime/clock.ts')}
    let aheadMs = 0
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }
    const open = async (clock) => {
      const log = await openLmdbEventLog({ folder: ${JSON.stringify(folder)}, mapBytes: ${MAP_BYTES}, clock })
      await log.ensureTopics([{ name: 't', partitions: 4, retentionMs: 1000000, retentionBytes: 1e9 }])
      return log
    }
    ${script}`
}

async function outputOf(script: string, shellSetup: readonly string[]): Promise<string[]> {
  const command = [...shellSetup, 'exec "$0" --input-type=module -e "$1"'].join('; ')
  const child = spawn('sh', ['-c', command, process.execPath, script])
  const lines: string[] = []
  createInterface(child.stdout).on('line', (line) => lines.push(line))
  const [code] = (await once(child, 'close')) as [number]
  expect(code).toBe(0)
  return lines
}
