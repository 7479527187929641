import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { partitionOf } from '../shared/log/partitioner.ts'
import { encodeFrameRecord, encodeTick, FRAME_SCHEMA } from '../shared/log/record.ts'
import { encodeReject } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { QUALITY_CHECKS, qualityThresholds } from './quality-checks.ts'
import { BatchMachine, PARTITIONS } from './testing/batch-machine.ts'
import type { RunReport } from './report.ts'

/** Enough that every rate of the run and of each version may be flagged. */
const SESSIONS = 30
const FRAME_MS = 200_000
const TIMEOUT_MS = 60_000

interface SentEvent {
  readonly type: string
  /** Before the frame is sent, ms; negative for a time after it. */
  readonly agoMs: number
  readonly [field: string]: unknown
}

interface SentFrame {
  readonly sessionId: string
  readonly context: Readonly<Record<string, unknown>>
  readonly events: readonly SentEvent[]
  readonly firstSeqs: readonly number[]
  readonly rejectedSeqs: readonly number[]
  readonly times: number
}

const CLEAN: readonly SentEvent[] = [
  { type: 'playbackRequest', agoMs: 100_000 },
  { type: 'playbackStart', agoMs: 99_000 },
  { type: 'renditionUpdate', agoMs: 99_000, videoBitrateKbps: 3_000 },
  { type: 'playbackStall', agoMs: 60_000 },
  { type: 'playbackStart', agoMs: 59_000 },
  { type: 'sessionEnd', agoMs: 10_000 },
]
/** Breaks every rule: see the names of the checks. */
const BROKEN: readonly SentEvent[] = [
  { type: 'playbackStall', agoMs: 190_000 },
  { type: 'playbackStart', agoMs: 180_000 },
  { type: 'heartbeat', agoMs: 100_000 },
  { type: 'heartbeat', agoMs: 101_000 },
  { type: 'heartbeat', agoMs: -60_000 },
]
const KNOWN = { contentId: 'movie-1', cdn: 'northstar', device: { type: 'tv' } }

class Sender {
  readonly #machine: BatchMachine
  readonly #clock: ManualClock

  constructor(machine: BatchMachine, clock: ManualClock) {
    this.#machine = machine
    this.#clock = clock
  }

  async frame(frame: SentFrame): Promise<{ partition: number; offset: number }> {
    const nowMs = this.#clock.nowMs()
    const { sessionId, context, events, firstSeqs, rejectedSeqs, times } = frame
    const value = encodeFrameRecord({
      contextJson: Buffer.from(JSON.stringify({ sessionId, ...context })),
      sentAtMs: nowMs,
      receivedAtMs: nowMs,
      rejectedSeqs,
      events: events.map(({ agoMs, ...event }, index) =>
        Buffer.from(JSON.stringify({ seq: firstSeqs[index], at: nowMs - agoMs, ...event })),
      ),
    })
    const partition = partitionOf(sessionId, PARTITIONS)
    const record = { key: sessionId, value, headers: { schema: FRAME_SCHEMA } }
    const { end } = await this.#machine.ports.log.offsets(TOPICS.events, partition)
    for (let sent = 0; sent < times; sent += 1)
      await this.#machine.ports.log.append(TOPICS.events, partition, [record])
    return { partition, offset: end }
  }

  async tick(): Promise<void> {
    for (let partition = 0; partition < PARTITIONS; partition += 1)
      await this.#machine.ports.log.append(TOPICS.events, partition, [encodeTick()])
  }

  async poison(): Promise<void> {
    const record = { key: undefined, value: Buffer.from('{'), headers: { schema: FRAME_SCHEMA } }
    await this.#machine.ports.log.append(TOPICS.events, 0, [record])
  }

  async reject(): Promise<void> {
    const value = encodeReject({
      stage: 'gateway',
      code: 'EVENT_FIELD_INVALID',
      detail: 'events[0].at',
      sessionId: 'broken-0',
      seq: 1,
      receivedAtMs: this.#clock.nowMs(),
      sealed: Buffer.from('sealed'),
    })
    await this.#machine.ports.log.append(TOPICS.rejects, 0, [
      { key: undefined, value, headers: { schema: 'reject.v1' } },
    ])
  }

  async exception(
    reason: string,
    sessionId: string,
    source: { readonly partition: number; readonly offset: number },
  ): Promise<void> {
    const value = Buffer.from(
      JSON.stringify({ sessionId, seq: 1, ...source, reason, type: 'heartbeat' }),
    )
    // A second view of the live rows has the same exception again.
    for (const view of ['v1', 'v2'])
      await this.#machine.ports.log.append(TOPICS.exceptions, 0, [
        { key: sessionId, value, headers: { schema: 'exception.v1', view } },
      ])
  }
}

const REASONS = ['late', 'amended', 'afterClose', 'capped']

async function fill(machine: BatchMachine, clock: ManualClock): Promise<void> {
  const sender = new Sender(machine, clock)
  await clock.advance(FRAME_MS)
  for (let index = 0; index < SESSIONS; index += 1) {
    await sender.frame({
      sessionId: `clean-${index}`,
      context: { ...KNOWN, player: { name: 'good', version: '1' } },
      events: CLEAN,
      firstSeqs: [0, 1, 2, 3, 4, 5],
      rejectedSeqs: [],
      times: 1,
    })
    const sessionId = `broken-${index}`
    const place = await sender.frame({
      sessionId,
      context: { player: { name: 'bad', version: '2' } },
      events: BROKEN,
      // The fifth never comes.
      firstSeqs: [0, 1, 2, 3, 5],
      rejectedSeqs: [6],
      times: 2,
    })
    await sender.frame({
      sessionId: `nobody-${index}`,
      context: KNOWN,
      events: CLEAN,
      firstSeqs: [0, 1, 2, 3, 4, 5],
      rejectedSeqs: [],
      times: 1,
    })
    for (const reason of REASONS) await sender.exception(reason, sessionId, place)
    await sender.poison()
    await sender.reject()
  }
  await clock.advance(3_600_000)
  await sender.tick()
}

const RATES = `SELECT check_name, found, checked, flagged FROM data_quality
  WHERE player_name = 'bad' AND player_version = '2' ORDER BY check_name`

describe('a run of what breaks every rule', () => {
  const clock = new ManualClock()
  let machine: BatchMachine
  let report: RunReport

  beforeAll(async () => {
    machine = await BatchMachine.open({ clock })
    await fill(machine, clock)
    report = await machine.run()
  }, TIMEOUT_MS)
  afterAll(() => machine.close())

  it('has every check over the whole run, and flags each that has a threshold', async () => {
    const whole = await machine.query(
      'SELECT check_name FROM data_quality WHERE player_name IS NULL',
    )
    expect(new Set(whole.map((row) => row['check_name']))).toEqual(
      new Set(Object.keys(QUALITY_CHECKS)),
    )
    const flagged = new Set(report.flags.map(({ check }) => check))
    expect(flagged).toEqual(new Set(qualityThresholds([]).keys()))
  })

  it('finds as many as there are, of as many as were looked at', async () => {
    const rows = await machine.query(RATES)
    const found = Object.fromEntries(
      rows.map((row) => [row['check_name'], [Number(row['found']), Number(row['checked'])]]),
    )
    const [events, copies] = [5 * SESSIONS, 12 * SESSIONS]
    expect(found).toEqual({
      stage_events: [events, copies],
      duplicate: [events, 2 * events],
      rejected: [2 * SESSIONS, copies],
      null_content: [events, events],
      null_cdn: [events, events],
      null_device: [events, events],
      null_player: [0, events],
      null_bitrate: [SESSIONS, SESSIONS],
      late: [SESSIONS, events],
      amended: [SESSIONS, events],
      after_close: [SESSIONS, events],
      capped: [SESSIONS, events],
      lost: [SESSIONS, events + SESSIONS],
      repair_state: [SESSIONS, events],
      repair_backwards: [SESSIONS, events],
      repair_clamped: [SESSIONS, events],
      at_in_future: [SESSIONS, events],
      start_without_request: [SESSIONS, SESSIONS],
      stall_without_start: [SESSIONS, SESSIONS],
      heartbeat_gap: [SESSIONS, 3 * SESSIONS],
    })
  })

  it('flags nothing of a player that keeps the rules', async () => {
    const rows = await machine.query(
      `SELECT check_name, found FROM data_quality WHERE player_name = 'good' AND (flagged OR found > 0)`,
    )
    expect(rows.map((row) => row['check_name'])).toEqual(['stage_events'])
  })

  it('says the flags in a metric and in the report, and completes all the same', async () => {
    const { telemetry } = machine
    expect(report.events).toBe(17 * SESSIONS)
    const text = await telemetry.registry.metrics()
    const flags = report.flags.filter(({ check }) => check === 'duplicate')
    expect(flags[0]).toMatchObject({ playerName: 'bad', playerVersion: '2', rate: 0.5 })
    expect(text).toContain(`batch_quality_flags{check="duplicate"} ${flags.length}`)
    expect(text).toContain('batch_quality_flags{check="poison"} 1')
  })
})

test('a threshold of a setting stands for that of the table', async () => {
  const clock = new ManualClock()
  const machine = await BatchMachine.open({ clock })
  try {
    await fill(machine, clock)
    const settings = { BATCH_QUALITY_THRESHOLDS: 'duplicate=0.5, lost=1' }
    const { flags } = await machine.run({ settings })
    const checks = new Set(flags.map(({ check }) => check))
    expect(checks.has('duplicate')).toBe(false)
    expect(checks.has('lost')).toBe(false)
    expect(checks.has('late')).toBe(true)
  } finally {
    await machine.close()
  }
})

test.each(['dublicate=0.1', 'stage_events=0.1', 'lost=2', 'lost', 'lost=0.1=2', 'lost=-1'])(
  'a threshold that is none, %s, is refused',
  (change) => {
    expect(() => qualityThresholds([change])).toThrow('CONFIG_INVALID')
  },
)
