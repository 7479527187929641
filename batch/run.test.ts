import { zstdDecompressSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { NewRecord } from '../shared/log/event-log.ts'
import { FRAME_SCHEMA } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { Row } from '../shared/warehouse/warehouse.ts'
import type { RunReport } from './report.ts'
import { over } from './testing/altered-port.ts'
import { BatchMachine, PARTITIONS, type Ports } from './testing/batch-machine.ts'
import { fillLog, type SentFrame } from './testing/scenario.ts'

const SEED = 7
const TURNS = 40
/** A machine under load takes its time for a hundred durable appends. */
const BUILD_TIMEOUT_MS = 120_000

const clockOf = ({ clock }: BatchMachine): ManualClock => {
  if (clock instanceof ManualClock) return clock
  throw new Error('the test moves the clock')
}
const fill = (of: BatchMachine, seed = SEED) =>
  fillLog({
    log: of.ports.log,
    clock: clockOf(of),
    partitions: PARTITIONS,
    seed,
    turns: TURNS,
  })

const placeOf = (line: string) =>
  JSON.parse(line) as { readonly offset: number; readonly loggedAt: number }
const without = (rows: readonly Row[] | undefined, columns: readonly string[]) =>
  (rows ?? []).map((row) =>
    Object.fromEntries(Object.entries(row).filter(([name]) => !columns.includes(name))),
  )

describe('a run', () => {
  let machine: BatchMachine
  let sent: SentFrame[]
  let report: RunReport

  beforeAll(async () => {
    machine = await BatchMachine.open()
    sent = await fill(machine)
    let asked = 0
    const usage = () => ({ bytesRead: 1_000 * (asked += 1), bytesBilled: 10 * asked })
    const wrap = (ports: Ports) => ({ ...ports, warehouse: over(ports.warehouse, { usage }) })
    report = await machine.run({ wrap })
  }, BUILD_TIMEOUT_MS)
  afterAll(() => machine.close())

  it('puts every event exactly once into the tables, and every other copy beside it', async () => {
    const identities = new Set(
      sent.flatMap(({ sessionId, seqs }) => seqs.map((seq) => `${sessionId}/${seq}`)),
    )
    const events = await machine.query('SELECT session_id, seq FROM events')
    const found = events.map((row) => `${String(row['session_id'])}/${String(row['seq'])}`)
    expect(found).toHaveLength(identities.size)
    expect(new Set(found)).toEqual(identities)
    const [{ counts } = { counts: undefined }] = report.topics
    expect(counts).toMatchObject({ poison: expect.any(Number) as number })
    expect(counts?.poison).toBeGreaterThan(0)
    expect(report.events + report.copies).toBe((counts?.events ?? 0) + (counts?.rejectedSeqs ?? 0))
    const copies = await machine.query('SELECT kind, COUNT(*) AS n FROM event_copies GROUP BY kind')
    expect(new Set(copies.map((row) => row['kind']))).toEqual(new Set(['duplicate', 'rejected']))
    const [joined] = await machine.query(
      'SELECT COUNT(*) AS n FROM frames f JOIN events e USING (log_partition, log_offset) WHERE e.received_at_ms > f.logged_at_ms',
    )
    expect(joined?.['n']).toBe(0n)
  })

  it('has the records of the log, every one, in raw files of one hour and of bounded size', async () => {
    const ledger = await machine.query(
      'SELECT topic, log_partition, first_offset, last_offset, records, file FROM ledger ORDER BY topic, log_partition, first_offset',
    )
    for (const topic of [TOPICS.events, TOPICS.rejects, TOPICS.exceptions])
      for (let partition = 0; partition < PARTITIONS; partition += 1) {
        const { end } = await machine.ports.log.offsets(topic, partition)
        const files = ledger.filter(
          (row) => row['topic'] === topic && row['log_partition'] === BigInt(partition),
        )
        let next = 0n
        for (const file of files) {
          expect(file['first_offset']).toBe(next)
          next = BigInt(String(file['last_offset'])) + 1n
          expect(file['records']).toBe(next - BigInt(String(file['first_offset'])))
        }
        expect(next).toBe(BigInt(end))
      }
    const hours = new Set(ledger.map((row) => /dt=[^/]+\/hour=\d\d/.exec(String(row['file']))?.[0]))
    expect(hours.size).toBeGreaterThan(1)
    expect((await machine.names('raw/')).toSorted()).toEqual(
      ledger.map((row) => String(row['file'])).toSorted(),
    )
  })

  it('names a raw file by topic, hour of append, partition and offsets, and has a line a record in it', async () => {
    const names = await machine.names('raw/')
    for (const name of names) {
      const stored = await machine.ports.objects.read(name)
      const text = zstdDecompressSync(stored?.bytes ?? new Uint8Array(0)).toString()
      const lines = text.split('\n').slice(0, -1).map(placeOf)
      const [topic = '', partition = ''] = /topic=([^/]+).*\/p=(\d+)\//.exec(name)?.slice(1) ?? []
      const offsets = lines.map(({ offset }) => offset)
      expect(offsets).toEqual(offsets.map((_, index) => (offsets[0] ?? 0) + index))
      const records = await machine.ports.log.read(topic, Number(partition), {
        fromOffset: offsets[0] ?? 0,
        maxRecords: offsets.length,
        maxBytes: 2 ** 26,
        waitMs: 0,
      })
      expect(lines.map(({ loggedAt }) => loggedAt)).toEqual(
        records.records.map(({ loggedAtMs }) => loggedAtMs),
      )
      // Times of append never go back on this log: each line says the hour.
      for (const { loggedAt } of lines) {
        const [, day, hour] =
          /^(\d{4}-\d\d-\d\d)T(\d\d)/.exec(new Date(loggedAt).toISOString()) ?? []
        const digits = (offset: number | undefined) => String(offset).padStart(20, '0')
        expect(name).toBe(
          `raw/topic=${topic}/dt=${day}/hour=${hour}/p=0${Number(partition)}/` +
            `${digits(offsets[0])}-${digits(offsets.at(-1))}.ndjson.zst`,
        )
      }
    }
    expect(names.length).toBeGreaterThan(3 * PARTITIONS)
  })

  it('writes down what it has moved, and what the warehouse has billed for it', async () => {
    const rows = await machine.query('SELECT * FROM batch_runs')
    for (const row of rows)
      expect(row).toMatchObject({ warehouse_read_bytes: 1_000n, warehouse_billed_bytes: 10n })
    expect(report.warehouse).toEqual({ bytesRead: 1_000, bytesBilled: 10 })
    const staged = rows.reduce((sum, row) => sum + Number(row['staging_bytes']), 0)
    expect(staged).toBe(report.stagingBytes)
    expect(staged).toBeGreaterThan(0)
  })

  it('writes control rows with the watermark at the cut, ticks included, and a report', async () => {
    const rows = await machine.query(
      `SELECT * FROM batch_runs WHERE topic = 'playback.events' ORDER BY log_partition`,
    )
    expect(rows).toHaveLength(PARTITIONS)
    const nowMs = machine.clock.nowMs()
    for (const row of rows)
      expect(row).toMatchObject({
        run: 1n,
        first_offset: 0n,
        watermark_ms: BigInt(nowMs - 2_000),
        last_logged_at_ms: BigInt(nowMs),
        boundary_ms: BigInt(report.boundaryMs ?? 0),
      })
    const paneLifeMs = 90 * 60_000 + 5_000 + 2_000
    expect(report.boundaryMs).toBe(nowMs - 2_000 - paneLifeMs)
    const stored = await machine.ports.objects.read('batch/runs/0000000001/report.json')
    expect(JSON.parse(Buffer.from(stored?.bytes ?? []).toString())).toMatchObject({
      run: 1,
      events: report.events,
    })
  })

  it('is idle when nothing came since the last', async () => {
    const before = await machine.names('')
    expect(await machine.batch().run()).toEqual({ outcome: 'idle', problems: [] })
    expect(await machine.names('')).toEqual(before)
  })
})

describe('runs one after another', () => {
  let machine: BatchMachine

  beforeEach(async () => {
    machine = await BatchMachine.open()
    await fill(machine)
  })
  afterEach(() => machine.close())

  it('end with the rows that one run would have made', async () => {
    const whole = await BatchMachine.open()
    try {
      await fill(whole)
      await whole.run()
      const batch = machine.batch({ settings: { BATCH_RUN_RECORDS_MAX: '25' } })
      let runs = 0
      while ((await batch.run()).outcome === 'completed') runs += 1
      expect(runs).toBeGreaterThan(1)
      const [ours, theirs] = [await machine.tables(), await whole.tables()]
      for (const { name } of [tables.events, tables.eventCopies, tables.frames, tables.rejects])
        expect(without(ours[name], ['run']), name).toEqual(without(theirs[name], ['run']))
      for (const { name } of [tables.sessions, tables.sessionMinutes, tables.qoeMinute])
        expect(without(ours[name], ['run']), name).toEqual(without(theirs[name], ['run']))
    } finally {
      await whole.close()
    }
  })

  it('take no more of a partition than the bound on bytes, and one record at least', async () => {
    const batch = machine.batch({
      settings: { BATCH_RUN_BYTES_MAX: '1024', BATCH_RAW_FILE_BYTES: '1024' },
    })
    await batch.run()
    const [first] = await machine.query(
      `SELECT SUM(bytes) AS bytes, COUNT(*) AS frames FROM frames WHERE log_partition = 0`,
    )
    expect(Number(first?.['frames'])).toBeGreaterThan(0)
    expect(Number(first?.['bytes'])).toBeLessThan(2_048)
    await batch.run()
    const rows = await machine.query(
      `SELECT first_offset, next_offset FROM batch_runs WHERE topic = 'playback.events' AND log_partition = 0 ORDER BY run`,
    )
    expect(rows[1]?.['first_offset']).toBe(rows[0]?.['next_offset'])
  })
})

describe('a session that goes on in another partition, as after partitions were added', () => {
  it('row 31: is one session in the tables, and what is in both partitions counts once', async () => {
    const machine = await BatchMachine.open()
    try {
      // Sent again to the partition that the session has now: what was not acknowledged before.
      await machine.ports.log.append(TOPICS.events, 1, [frameOf(machine, [0, 1])])
      await machine.ports.log.append(TOPICS.events, 0, [frameOf(machine, [1, 2, 3])])
      const report = await machine.run()
      expect(report).toMatchObject({ events: 4, copies: 1 })
      const events = await machine.query(
        'SELECT seq, log_partition FROM events ORDER BY seq, log_partition',
      )
      expect(events.map((row) => [row['seq'], row['log_partition']])).toEqual([
        [0n, 1n],
        [1n, 0n],
        [2n, 0n],
        [3n, 0n],
      ])
      const sessions = await machine.query('SELECT session_id, part, events FROM sessions')
      expect(sessions).toEqual([{ session_id: 'moved', part: 0n, events: 4n }])
    } finally {
      await machine.close()
    }
  })
})

function frameOf(machine: BatchMachine, seqs: readonly number[]): NewRecord {
  const nowMs = machine.clock.nowMs()
  const value = {
    session: { sessionId: 'moved', contentId: 'movie-1' },
    sentAt: nowMs,
    receivedAt: nowMs,
    events: seqs.map((seq) => ({ seq, type: 'heartbeat', at: nowMs - 1_000 * (4 - seq) })),
  }
  return {
    key: 'moved',
    value: new TextEncoder().encode(JSON.stringify(value)),
    headers: { schema: FRAME_SCHEMA },
  }
}
