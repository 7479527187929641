import { describe, expect, it } from 'vitest'
import type { DirtyQueue, RowTicket } from '../shared/qoe/fold.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { FRESHNESS_OBJECTIVE_MS, TIMED_STEP_MS } from './limits.ts'
import { RowWriter } from './row-writer.ts'
import { createProcessorTelemetry } from './telemetry.ts'
import { TurnQueue } from './turn.ts'
import {
  configOf,
  metricValue,
  minuteTicket,
  ScriptedFold,
  scriptedErrors,
  scriptedSpeed,
  sessionTicket,
  silentTelemetry,
  turnOfTheLoop,
} from './testing/test-doubles.ts'

const nothing = { offset: 0, watermarkMs: 0 }

function writerOf(speed: Partial<SpeedStore>, settings: Readonly<Record<string, string>> = {}) {
  const clock = new ManualClock()
  const fold = new ScriptedFold()
  const base = silentTelemetry()
  const failures: unknown[] = []
  const config = configOf(settings)
  const ending = new AbortController()
  const telemetry = createProcessorTelemetry(base)
  const role = { isPrimary: true }
  const behind = { waitMs: 0 }
  const writer = new RowWriter({
    partition: 0,
    fold,
    speed: scriptedSpeed(speed),
    clock,
    turns: new TurnQueue(clock),
    config,
    telemetry,
    failpoints: noFailpoints,
    role,
    catchUp: { waitMs: () => behind.waitMs },
    reached: { narrow: nothing, wide: nothing, session: nothing },
    startOffset: 0,
    retryContext: (call) => ({
      clock,
      random: seededRandom(1),
      limits: config,
      signal: ending.signal,
      onRetry: (error, attempt) =>
        telemetry.retried(0, call, { code: error.code, message: error.message, attempt }),
    }),
    onFailure: (error) => failures.push(error),
  })
  return {
    writer,
    clock,
    fold,
    base,
    failures,
    ending,
    config,
    role,
    behind,
    dirty(queue: DirtyQueue, tickets: readonly RowTicket[]) {
      fold.queues[queue].push(...tickets)
    },
    /** Runs the timed step for `durationMs` of the clock. */
    async run(durationMs: number) {
      for (let elapsedMs = 0; elapsedMs < durationMs; elapsedMs += TIMED_STEP_MS) {
        writer.pump()
        await turnOfTheLoop()
        await clock.advance(TIMED_STEP_MS)
        await turnOfTheLoop()
      }
    },
  }
}

function minutes(count: number, prefix = 'k'): RowTicket[] {
  return Array.from({ length: count }, (_, index) => minuteTicket(`${prefix}${index}`))
}

/** A put that ends when the test says so. */
function gatedPut() {
  const waiting: (() => void)[] = []
  return {
    put: () => new Promise<void>((resolve) => waiting.push(resolve)),
    open: () => waiting.splice(0).forEach((resolve) => resolve()),
    get waiting() {
      return waiting.length
    },
  }
}

describe('the row writer', () => {
  it('writes narrow rows every second and acknowledges them when they are durable', async () => {
    const writtenAtMs: number[] = []
    const test = writerOf({
      putMinutes: async () => void writtenAtMs.push(test.clock.monotonicMs()),
    })
    test.dirty('narrow', minutes(1))
    await test.run(500)
    test.dirty('narrow', minutes(1))
    await test.run(1_000)
    expect(writtenAtMs).toEqual([0, 1_000])
    expect(test.fold.acknowledged).toHaveLength(2)
  })

  it('says of narrow rows whether they were durable soon after the oldest record in them', async () => {
    const gate = gatedPut()
    const test = writerOf({ putMinutes: () => gate.put() })
    const rows = (outcome: string) =>
      metricValue(test.base, 'processor_narrow_rows_total', { outcome })
    expect([await rows('fresh'), await rows('stale')]).toEqual([0, 0])
    test.writer.noteRecord(test.clock.nowMs() - 4_000)
    test.dirty('narrow', minutes(3))
    await test.run(500)
    gate.open()
    await test.run(500)
    expect([await rows('fresh'), await rows('stale')]).toEqual([3, 0])
    // The first record counts, however new the others are.
    test.writer.noteRecord(test.clock.nowMs() - FRESHNESS_OBJECTIVE_MS)
    test.writer.noteRecord(test.clock.nowMs())
    test.dirty('narrow', minutes(2))
    await test.run(500)
    gate.open()
    await test.run(500)
    expect([await rows('fresh'), await rows('stale')]).toEqual([3, 2])
  })

  it('says nothing of how fresh the rows of a view are that nobody is given', async () => {
    const gate = gatedPut()
    const test = writerOf({ putMinutes: () => gate.put() })
    const rows = () => metricValue(test.base, 'processor_narrow_rows_total', { outcome: 'stale' })
    const writeOld = async () => {
      test.writer.noteRecord(test.clock.nowMs() - FRESHNESS_OBJECTIVE_MS)
      test.dirty('narrow', minutes(2))
      await test.run(500)
      gate.open()
      await test.run(500)
    }
    test.role.isPrimary = false
    await writeOld()
    expect(await rows()).toBe(0)
    test.role.isPrimary = true
    await writeOld()
    expect(await rows()).toBe(2)
  })

  it('spreads wide rows over their interval', async () => {
    const perStep = new Map<number, number>()
    const test = writerOf({
      putMinutes: async (rows) => {
        const nowMs = test.clock.monotonicMs()
        perStep.set(nowMs, (perStep.get(nowMs) ?? 0) + rows.length)
      },
    })
    test.dirty('wide', minutes(600))
    await test.run(15_500)
    expect(test.fold.acknowledged).toHaveLength(600)
    expect(Math.max(...perStep.values())).toBeLessThanOrEqual(11)
  })

  it('writes urgent session rows at once and others within their interval', async () => {
    const written: string[] = []
    const test = writerOf({
      putSessions: async (rows) => {
        for (const row of rows) written.push(`${row.sessionId} ${test.clock.monotonicMs()}`)
      },
    })
    await test.run(100)
    test.dirty('sessionUrgent', [sessionTicket('started')])
    test.dirty('session', [sessionTicket('changed')])
    await test.run(10_000)
    expect(written[0]).toBe('started 250')
    const [id, atMs] = (written[1] ?? '').split(' ')
    expect(id).toBe('changed')
    expect(Number(atMs)).toBeGreaterThan(250 + 4_000)
    expect(Number(atMs)).toBeLessThanOrEqual(250 + 5_000)
  })

  it('writes positions with their session in one call', async () => {
    const calls: [number, number][] = []
    const test = writerOf({
      putSessions: async (rows, positions) => void calls.push([rows.length, positions.length]),
    })
    const ticket = sessionTicket('a')
    if (ticket.kind !== 'session') throw new Error('a session ticket')
    const position = { ...ticket.row, rowNumber: 0, positions: [] }
    test.dirty('sessionUrgent', [{ ...ticket, positions: [position, position] }])
    await test.run(250)
    expect(calls).toEqual([[1, 2]])
  })

  it('closes a write at its bound of rows and begins no more than its bound of writes', async () => {
    const gate = gatedPut()
    const sizes: number[] = []
    const test = writerOf(
      { putMinutes: (rows) => (sizes.push(rows.length), gate.put()) },
      { PROCESSOR_ROWS_PER_WRITE_MAX: '3', PROCESSOR_WRITES_IN_FLIGHT_MAX: '2' },
    )
    test.dirty('narrow', minutes(8))
    await test.run(1_000)
    expect(sizes).toEqual([3, 3])
    expect(await metricValue(test.base, 'processor_writes_in_flight', { queue: 'narrow' })).toBe(2)
    gate.open()
    await test.run(250)
    expect(sizes).toEqual([3, 3, 2])
  })

  it('begins what takes more than a turn in further turns, each queue in its own', async () => {
    const begun: string[] = []
    const test = writerOf(
      {
        putMinutes: async ([row]) => void begun.push(row?.cut === 'content' ? 'wide' : 'narrow'),
        putSessions: async () => void begun.push('session'),
      },
      { PROCESSOR_ROWS_PER_WRITE_MAX: '1' },
    )
    const { turnMaxMs } = test.config
    const taken = test.fold.takeDirty.bind(test.fold)
    let spentMs = 0
    test.fold.takeDirty = (name, max) => {
      spentMs += turnMaxMs
      return taken(name, max)
    }
    const beganMs = test.clock.monotonicMs()
    test.clock.monotonicMs = () => beganMs + spentMs
    test.dirty('narrow', minutes(2))
    test.dirty('sessionUrgent', [sessionTicket('a')])
    test.writer.pump()
    expect(begun).toEqual(['narrow'])
    for (const expected of ['session', 'narrow']) {
      await turnOfTheLoop()
      expect(begun.at(-1)).toBe(expected)
    }
  })

  it('never lets wide rows hold narrow ones up', async () => {
    const stuck = gatedPut()
    const narrow: string[] = []
    const test = writerOf({
      putMinutes: async (rows) => {
        if (rows[0]?.cut === 'content') return stuck.put()
        narrow.push(...rows.map(({ key }) => key))
      },
    })
    test.dirty(
      'wide',
      Array.from({ length: 5_000 }, () => minuteTicket('w', { cut: 'content' })),
    )
    await test.run(20_000)
    expect(stuck.waiting).toBe(test.config.writesInFlightMax)
    test.dirty('narrow', minutes(1, 'n'))
    await test.run(1_000)
    expect(narrow).toEqual(['["n0"]'])
  })

  it('repeats the same rows until the store takes them', async () => {
    const attempts: unknown[] = []
    const test = writerOf({
      putMinutes: async (rows) => {
        attempts.push(rows)
        if (attempts.length < 4) throw scriptedErrors.create('SCRIPTED_OUTAGE')
      },
    })
    test.dirty('narrow', minutes(2))
    await test.run(15_000)
    expect(attempts).toHaveLength(4)
    expect(new Set(attempts).size).toBe(1)
    expect(test.fold.acknowledged).toHaveLength(2)
    const labels = { call: 'speed', code: 'SCRIPTED_OUTAGE' }
    expect(await metricValue(test.base, 'processor_retries_total', labels)).toBe(3)
  })

  it('acknowledges nothing while the store is down, and says how long', async () => {
    const test = writerOf({
      putMinutes: () => Promise.reject(scriptedErrors.create('SCRIPTED_OUTAGE')),
    })
    test.dirty('narrow', minutes(2))
    await test.run(12_000)
    expect(test.fold.acknowledged).toEqual([])
    expect(test.writer.reached.narrow.offset).toBe(0)
    expect(test.writer.oldestWriteMs()).toBe(12_000)
    test.ending.abort()
  })

  it('passes on a failure that no repeat can mend', async () => {
    const test = writerOf({
      putMinutes: () => Promise.reject(scriptedErrors.create('SCRIPTED_DEFECT')),
    })
    test.dirty('narrow', minutes(1))
    await test.run(250)
    expect(test.failures).toHaveLength(1)
    expect(test.fold.acknowledged).toEqual([])
  })

  it('does not write rows past their retention, and counts them', async () => {
    const written: string[] = []
    const test = writerOf({
      putMinutes: async (rows) => void written.push(...rows.map(({ key }) => key)),
    })
    const expiresAtMs = test.clock.nowMs()
    test.dirty('narrow', [minuteTicket('old', { expiresAtMs }), minuteTicket('new')])
    await test.run(250)
    expect(written).toEqual(['["new"]'])
    expect(test.fold.acknowledged).toHaveLength(2)
    expect(await metricValue(test.base, 'processor_rows_expired_total')).toBe(1)
  })
})

describe('the row writer while its partition catches up', () => {
  /** Every row that is written, with its time; each of its classes changes at every step. */
  function changingWriter(settings: Readonly<Record<string, string>> = {}) {
    const written: Record<string, number[]> = { narrow: [], wide: [], urgent: [], session: [] }
    const note = (name: string) => written[name]?.push(test.clock.monotonicMs())
    const test = writerOf(
      {
        putMinutes: async (rows) =>
          rows.forEach(({ cut }) => note(cut === 'content' ? 'wide' : 'narrow')),
        putSessions: async (rows) => rows.forEach(({ sessionId }) => note(sessionId)),
      },
      settings,
    )
    const change = () => {
      const { queues } = test.fold
      if (queues.narrow.length === 0) test.dirty('narrow', minutes(1))
      if (queues.wide.length === 0) test.dirty('wide', [minuteTicket('w', { cut: 'content' })])
      if (queues.session.length === 0) test.dirty('session', [sessionTicket('session')])
      test.dirty('sessionUrgent', [sessionTicket('urgent')])
    }
    return {
      ...test,
      written,
      async changeFor(durationMs: number) {
        for (let elapsedMs = 0; elapsedMs < durationMs; elapsedMs += TIMED_STEP_MS) {
          change()
          await test.run(TIMED_STEP_MS)
        }
      },
      timesOf: (name: string) => [...new Set(written[name])],
    }
  }

  it('lets rows of every class wait, and none longer than it may', async () => {
    const test = changingWriter()
    test.behind.waitMs = 20_000
    await test.changeFor(60_000)
    const atEnds = [20_000, 40_000]
    expect(test.timesOf('narrow')).toEqual([0, ...atEnds])
    expect(test.timesOf('urgent')).toEqual(atEnds)
    expect(test.written['urgent']).toHaveLength(1 + 40_000 / TIMED_STEP_MS)
    expect(test.timesOf('wide').length).toBeLessThanOrEqual(4)
    expect(test.timesOf('session').length).toBeLessThanOrEqual(3)
    expect(await metricValue(test.base, 'processor_rows_may_wait_ms')).toBe(20_000)
  })

  it('writes as usual once it has caught up, what waited first', async () => {
    const test = changingWriter()
    test.behind.waitMs = 60_000
    await test.changeFor(30_000)
    test.behind.waitMs = 0
    await test.changeFor(3_000)
    expect(test.timesOf('narrow')).toEqual([0, 30_000, 31_000, 32_000])
    expect(test.timesOf('urgent').slice(0, 3)).toEqual([30_000, 30_250, 30_500])
    expect(test.timesOf('wide')).toContain(30_250)
    expect(test.timesOf('session')).toContain(30_000)
  })

  it('lets no more rows wait than would soon make the partition pause', async () => {
    const test = changingWriter({ PROCESSOR_DIRTY_ROWS_MAX: '40' })
    test.behind.waitMs = 60_000
    await test.changeFor(10_000)
    expect(test.timesOf('urgent').length).toBeGreaterThan(2)
  })

  it('reaches what is folded as usual, if later', async () => {
    const test = writerOf({ putMinutes: () => Promise.resolve() })
    test.behind.waitMs = 20_000
    await test.run(250)
    test.fold.nextOffset = 10
    test.dirty('narrow', minutes(2))
    await test.run(19_500)
    expect(test.writer.reached.narrow.offset).toBe(0)
    await test.run(500)
    expect(test.writer.reached.narrow.offset).toBe(10)
  })
})

describe('what the row writer says is durable', () => {
  it('moves to the offset at which everything since written was dirty', async () => {
    const gate = gatedPut()
    const test = writerOf({ putMinutes: gate.put })
    test.fold.nextOffset = 10
    test.fold.watermarkMs = 99
    test.dirty('narrow', minutes(2))
    await test.run(250)
    test.fold.nextOffset = 20
    await test.run(250)
    expect(test.writer.reached.narrow.offset).toBe(0)
    gate.open()
    await test.run(250)
    expect(test.writer.reached.narrow).toEqual({ offset: 10, watermarkMs: 99 })
    await test.run(1_000)
    expect(test.writer.reached.narrow.offset).toBe(20)
  })

  it('counts sessions that became urgent while they waited', async () => {
    const gate = gatedPut()
    const test = writerOf({ putSessions: gate.put })
    test.fold.nextOffset = 10
    test.dirty('session', [sessionTicket('a')])
    await test.run(250)
    expect(test.writer.reached.session.offset).toBe(0)
    test.fold.queues.session = []
    test.fold.nextOffset = 11
    test.dirty('sessionUrgent', [sessionTicket('a')])
    await test.run(1_000)
    expect(test.writer.reached.session.offset).toBe(0)
    gate.open()
    await test.run(500)
    expect(test.writer.reached.session.offset).toBe(11)
  })

  it('is everything after a flush', async () => {
    const test = writerOf({
      putMinutes: () => Promise.resolve(),
      putSessions: () => Promise.resolve(),
    })
    test.fold.nextOffset = 42
    test.dirty('narrow', minutes(700))
    test.dirty('wide', minutes(700))
    test.dirty('session', [sessionTicket('a')])
    test.dirty('sessionUrgent', [sessionTicket('b')])
    await test.writer.flush()
    expect(test.writer.dirtyRows).toBe(0)
    const { narrow, wide, session } = test.writer.reached
    expect([narrow.offset, wide.offset, session.offset]).toEqual([42, 42, 42])
    expect(test.fold.acknowledged).toHaveLength(1_402)
  })
})
