/**
 * A field that is added to the event schema. The warehouse is one that an older program has made:
 * its `events` lack the column of the field, and hold a row.
 */
import { expect, test } from 'vitest'
import { encodeFrameRecord, FRAME_SCHEMA } from '../shared/log/record.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { eventColumns } from '../shared/warehouse/event-columns.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { dateOf } from './control.ts'
import { insertValues } from './insert-values.ts'
import { BatchMachine, PARTITIONS } from './testing/batch-machine.ts'

const ADDED = 'throughput_kbps'
const { events } = tables
const before = { ...events, columns: events.columns.filter(({ name }) => name !== ADDED) }

async function insertOldRow(machine: BatchMachine, nowMs: number): Promise<void> {
  await machine.ports.warehouse.ensureTables([before])
  const session = await machine.ports.warehouse.open()
  try {
    const values = { INT64: 0, STRING: 'old', FLOAT64: 0, BOOL: false, TIMESTAMP: nowMs }
    const row = before.columns
      .filter((column) => column.required)
      .map(({ name, type }) => [name, type === 'DATE' ? dateOf(nowMs) : values[type]] as const)
    await insertValues(session, { table: before, rows: [Object.fromEntries(row)], jobId: 'old' })
  } finally {
    await session.close()
  }
}

async function sendNewEvent(machine: BatchMachine, nowMs: number): Promise<void> {
  const sessionId = 'new'
  const event = { seq: 0, type: 'heartbeat', at: nowMs, throughputKbps: 4_000 }
  const value = encodeFrameRecord({
    contextJson: Buffer.from(JSON.stringify({ sessionId })),
    sentAtMs: nowMs,
    receivedAtMs: nowMs,
    rejectedSeqs: [],
    events: [Buffer.from(JSON.stringify(event))],
  })
  await machine.ports.log.append(TOPICS.events, partitionOf(sessionId, PARTITIONS), [
    { key: sessionId, value, headers: { schema: FRAME_SCHEMA } },
  ])
}

test('an added optional field is a nullable column, and rows from before stay readable', async () => {
  expect(eventColumns.find(({ name }) => name === ADDED)).toMatchObject({ required: false })
  const clock = new ManualClock(Date.parse('2026-11-17T12:00:00Z'))
  const machine = await BatchMachine.open({ clock })
  try {
    await insertOldRow(machine, clock.nowMs())
    await expect(machine.query(`SELECT ${ADDED} FROM events`)).rejects.toThrow(ADDED)
    await sendNewEvent(machine, clock.nowMs())
    await machine.run()
    expect(
      await machine.query(`SELECT session_id, ${ADDED} AS kbps FROM events ORDER BY session_id`),
    ).toEqual([
      { session_id: 'new', kbps: 4_000n },
      { session_id: 'old', kbps: null },
    ])
    expect(
      await machine.query('SELECT schema, events FROM events_by_version ORDER BY schema'),
    ).toEqual([
      { schema: null, events: 1n },
      { schema: FRAME_SCHEMA, events: 1n },
    ])
  } finally {
    await machine.close()
  }
})
