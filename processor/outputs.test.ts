import { describe, expect, it } from 'vitest'
import type { EventLog, LogRecord, NewRecord } from '../shared/log/event-log.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import { createSealer, decodeReject } from '../shared/log/reject-record.ts'
import type { FoldOutput } from '../shared/qoe/fold.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { POISON_CUT_BYTES, POISON_REASON_CHARS_MAX } from './limits.ts'
import { OutputSender } from './outputs.ts'
import { createProcessorTelemetry } from './telemetry.ts'
import {
  configOf,
  metricValue,
  ScriptedFold,
  scriptedErrors,
  scriptedLog,
  sessionRow,
  silentTelemetry,
  turnOfTheLoop,
} from './testing/test-doubles.ts'
import { Traces } from './traces.ts'

const sealer = createSealer(new Uint8Array(32).fill(7))

interface Sent {
  readonly topic: string
  readonly partition: number
  readonly records: readonly NewRecord[]
}

function senderOf(
  append?: EventLog['append'],
  { isPrimary = true, traces }: { isPrimary?: boolean; traces?: Traces } = {},
) {
  const clock = new ManualClock()
  const sent: Sent[] = []
  const fold = new ScriptedFold()
  const base = silentTelemetry()
  const failures: unknown[] = []
  const lease = { isCurrent: true }
  const role = { isPrimary, owedOffset: 0, primaryOffset: 0 }
  const sender = new OutputSender({
    origin: { view: 'v', topicEpoch: 0, partition: 5, generation: 1 },
    fold,
    lease,
    role,
    owedOffset: 0,
    log: scriptedLog({
      append: async (topic, partition, records) => {
        await append?.(topic, partition, records)
        sent.push({ topic, partition, records })
        return { baseOffset: 0, appendTimeMs: 0 }
      },
    }),
    sealer,
    traces,
    telemetry: createProcessorTelemetry(base),
    outputsPerAppendMax: 3,
    outputPartitions: { exceptions: 8, sessions: 8, rejects: 2 },
    retryContext: () => ({
      clock,
      random: seededRandom(1),
      limits: configOf(),
      signal: new AbortController().signal,
      onRetry: () => undefined,
    }),
    onFailure: (error) => failures.push(error),
  })
  return { sender, sent, fold, lease, role, clock, base, failures }
}

function exception(seq: number): FoldOutput {
  return {
    kind: 'exception',
    exception: {
      sessionId: 's',
      seq,
      partition: 5,
      offset: 9,
      reason: 'late',
      type: 'heartbeat',
      forgotten: false,
    },
  }
}
const closed: FoldOutput = {
  kind: 'closedSession',
  row: sessionRow('done', { closed: true }),
}
const APPENDED = { baseOffset: 0, appendTimeMs: 0 }
const refuse = () => Promise.reject(logErrors.create('LOG_RECORD_TOO_LARGE'))
const atMost =
  (recordsMax: number): EventLog['append'] =>
  (_topic, _partition, records) =>
    records.length > recordsMax ? refuse() : Promise.resolve(APPENDED)
const json = (record: NewRecord | undefined): unknown =>
  JSON.parse(new TextDecoder().decode(record?.value))

describe('outputs', () => {
  it('bear the trace context of what they came of, where it is told', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const record: LogRecord = {
      partition: 5,
      offset: 9,
      loggedAtMs: 1,
      key: 's',
      value: new Uint8Array(3),
      headers: { schema: 'other', traceparent },
    }
    const headersOf = async (traces?: Traces) => {
      const { sender, sent, fold } = senderOf(undefined, traces === undefined ? {} : { traces })
      traces?.note(record)
      fold.outputs.push(exception(1))
      await sender.flush()
      await sender.keepPoison([{ record, reason: 'no schema' }])
      return sent.map(({ records }) => records[0]?.headers)
    }
    expect(await headersOf()).toEqual([
      { schema: 'exception.v1', view: 'v' },
      { schema: 'reject.v1', view: 'v' },
    ])
    expect(await headersOf(new Traces())).toEqual([
      { schema: 'exception.v1', view: 'v', traceparent },
      { schema: 'reject.v1', view: 'v', traceparent },
    ])
  })

  it('go to their topics, in order, on the partition’s own number', async () => {
    const { sender, sent, fold } = senderOf()
    fold.outputs.push(exception(1), closed, exception(2))
    await sender.flush()
    expect(sent.map(({ topic, partition }) => `${topic} ${partition}`)).toEqual([
      'playback.exceptions 5',
      'playback.sessions 5',
    ])
    const [exceptions, sessions] = sent
    expect(exceptions?.records.map(json)).toEqual([
      {
        sessionId: 's',
        seq: 1,
        partition: 5,
        offset: 9,
        reason: 'late',
        type: 'heartbeat',
        forgotten: false,
      },
      {
        sessionId: 's',
        seq: 2,
        partition: 5,
        offset: 9,
        reason: 'late',
        type: 'heartbeat',
        forgotten: false,
      },
    ])
    expect(exceptions?.records[0]).toMatchObject({
      key: 's',
      headers: { schema: 'exception.v1', view: 'v' },
    })
    expect(sessions?.records[0]).toMatchObject({ key: 'done', headers: { schema: 'session.v1' } })
    expect(json(sessions?.records[0])).toMatchObject({ sessionId: 'done', closed: true })
  })

  it('carry integers beyond 2^53 as decimal strings', async () => {
    const { sender, sent, fold } = senderOf()
    const row = sessionRow('done')
    const part = { part: 0, bitsPlayed: 2n ** 60n } as (typeof row.parts)[number]
    fold.outputs.push({ kind: 'closedSession', row: { ...row, parts: [part] } })
    await sender.flush()
    expect(json(sent[0]?.records[0])).toMatchObject({
      parts: [{ bitsPlayed: '1152921504606846976' }],
    })
  })

  it('leave the fold only once they are durable, a bounded number at a time', async () => {
    let failuresLeft = 2
    const { sender, sent, fold, clock } = senderOf(async () => {
      if (failuresLeft-- > 0) throw scriptedErrors.create('SCRIPTED_OUTAGE')
      return { baseOffset: 0, appendTimeMs: 0 }
    })
    fold.outputs.push(...[1, 2, 3, 4].map(exception))
    sender.kick()
    await turnOfTheLoop()
    expect(fold.outputs).toHaveLength(4)
    for (let turn = 0; turn < 5; turn += 1) {
      await clock.advance(5_000)
      await turnOfTheLoop()
    }
    expect(sent.map(({ records }) => records.length)).toEqual([3, 1])
    expect(fold.outputs).toEqual([])
  })

  it('are not appended by an owner that may be replaced, until it is known to own again', async () => {
    const { sender, sent, fold, lease, clock } = senderOf()
    fold.outputs.push(exception(1))
    lease.isCurrent = false
    sender.kick()
    await clock.advance(30_000)
    await turnOfTheLoop()
    expect(sent).toEqual([])
    lease.isCurrent = true
    await clock.advance(30_000)
    await sender.flush()
    expect(sent).toHaveLength(1)
  })

  it('that are too much for one append go in halves, in order', async () => {
    const { sender, sent, fold } = senderOf(atMost(1))
    fold.outputs.push(exception(1), exception(2), exception(3))
    await sender.flush()
    expect(sent.flatMap(({ records }) => records).map(json)).toMatchObject([
      { seq: 1 },
      { seq: 2 },
      { seq: 3 },
    ])
    expect(fold.outputs).toEqual([])
  })

  it('are sent by one sender at a time', async () => {
    const { sender, sent, fold } = senderOf()
    fold.outputs.push(exception(1))
    sender.kick()
    sender.kick()
    await sender.flush()
    expect(sent).toHaveLength(1)
  })

  it('pass on a failure that no repeat can mend', async () => {
    const { sender, fold, failures } = senderOf(() =>
      Promise.reject(scriptedErrors.create('SCRIPTED_DEFECT')),
    )
    fold.outputs.push(exception(1))
    sender.kick()
    await turnOfTheLoop()
    expect(failures).toHaveLength(1)
    expect(fold.outputs).toHaveLength(1)
  })
})

describe('outputs of a secondary view', () => {
  it('are dropped once the rows of the primary cover them, and counted', async () => {
    const { sender, sent, fold, role, base } = senderOf(undefined, { isPrimary: false })
    role.primaryOffset = 7
    fold.nextOffset = 8
    fold.outputs.push(exception(1), closed)
    await sender.flush()
    expect(fold.outputs).toHaveLength(2)
    role.primaryOffset = 8
    await sender.flush()
    expect(fold.outputs).toHaveLength(0)
    expect(sent).toEqual([])
    const left = 'processor_outputs_left_to_primary_total'
    expect(await metricValue(base, left, { partition: 5 })).toBe(2)
  })

  it('go out when it becomes primary', async () => {
    const { sender, sent, fold, role } = senderOf(undefined, { isPrimary: false })
    fold.nextOffset = 8
    fold.outputs.push(exception(1), closed)
    await sender.flush()
    role.isPrimary = true
    await sender.flush()
    expect(sent.map(({ topic }) => topic)).toEqual(['playback.exceptions', 'playback.sessions'])
  })
})

describe('poison', () => {
  const record: LogRecord = {
    partition: 5,
    offset: 77,
    loggedAtMs: 1_800_000_000_000,
    key: 's',
    value: new TextEncoder().encode('not json'),
    headers: {},
  }

  it('is kept with sealed bytes, position and reason before its batch ends', async () => {
    const { sender, sent, base } = senderOf()
    await sender.keepPoison([{ record, reason: 'not JSON' }])
    expect(sent[0]).toMatchObject({ topic: 'playback.rejects', partition: 1 })
    const value = sent[0]?.records[0]?.value ?? new Uint8Array(0)
    const reject = decodeReject(value)
    expect(reject).toMatchObject({
      stage: 'processor',
      code: 'PROCESSOR_RECORD_POISON',
      detail: 'not JSON',
      sessionId: 's',
      source: { partition: 5, offset: 77 },
      receivedAtMs: record.loggedAtMs,
    })
    expect(Buffer.from(sealer.open(reject.sealed)).toString()).toBe('not json')
    expect(Buffer.from(value).includes('not json')).toBe(false)
    expect(await metricValue(base, 'processor_poison_records_total', { partition: 5 })).toBe(1)
  })

  it('keeps a bounded reason, and no key that is not a session id', async () => {
    const { sender, sent } = senderOf()
    const poison = { record: { ...record, key: 'k'.repeat(65) }, reason: 'r'.repeat(10_000) }
    await sender.keepPoison([poison])
    const reject = decodeReject(sent[0]?.records[0]?.value ?? new Uint8Array(0))
    expect(reject.detail).toHaveLength(POISON_REASON_CHARS_MAX)
    expect(reject.sessionId).toBeUndefined()
  })

  it('that is too much for one append goes in halves, in order', async () => {
    const { sender, sent, base } = senderOf(atMost(2))
    const offsets = [70, 71, 72, 73, 74]
    await sender.keepPoison(
      offsets.map((offset) => ({ record: { ...record, offset }, reason: 'bad' })),
    )
    const kept = sent.flatMap(({ records }) => records).map(({ value }) => decodeReject(value))
    expect(kept.map(({ source }) => source?.offset)).toEqual(offsets)
    expect(await metricValue(base, 'processor_poison_records_total', { partition: 5 })).toBe(5)
    expect(await metricValue(base, 'processor_poison_cut_total', { partition: 5 })).toBeUndefined()
  })

  it('that the topic does not take whole is kept as its beginning, and says so', async () => {
    const { sender, sent, base } = senderOf((_, __, records) =>
      (records[0]?.value.length ?? 0) > 65_536 ? refuse() : Promise.resolve(APPENDED),
    )
    const value = new Uint8Array(1_000_000).fill(1)
    await sender.keepPoison([{ record: { ...record, value }, reason: 'bad' }])
    const reject = decodeReject(sent[0]?.records[0]?.value ?? new Uint8Array(0))
    expect(reject).toMatchObject({ cutFromBytes: value.length, source: { offset: 77 } })
    expect(sealer.open(reject.sealed)).toHaveLength(POISON_CUT_BYTES)
    expect(await metricValue(base, 'processor_poison_cut_total', { partition: 5 })).toBe(1)
  })

  it('that is refused for another reason is not kept otherwise', async () => {
    const { sender, sent } = senderOf(() =>
      Promise.reject(scriptedErrors.create('SCRIPTED_DEFECT')),
    )
    await expect(sender.keepPoison([{ record, reason: 'bad' }])).rejects.toThrow('SCRIPTED_DEFECT')
    expect(sent).toEqual([])
  })

  it('is left to the primary view where that has come further, and kept where it has not', async () => {
    const { sender, sent, role } = senderOf()
    Object.assign(role, { isPrimary: false, primaryOffset: record.offset + 1 })
    await sender.keepPoison([{ record, reason: 'not JSON' }])
    expect(sent).toEqual([])
    role.primaryOffset = record.offset
    await sender.keepPoison([{ record, reason: 'not JSON' }])
    expect(sent).toHaveLength(1)
  })

  it('costs nothing when there is none', async () => {
    const { sender, sent } = senderOf()
    await sender.keepPoison([])
    expect(sent).toEqual([])
  })
})
