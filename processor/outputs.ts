/**
 * What leaves a partition beside rows: exceptions to `playback.exceptions`, closed sessions to
 * `playback.sessions`, unreadable records to `playback.rejects`.
 *
 * Exceptions and closed sessions stay pending in the fold, and so in its checkpoints, until they
 * are durable in their topics. Poison is not part of the fold: it is durable before its batch ends,
 * and checkpoints are cut between batches. All are delivered at least once; a repeat is recognised
 * by its identity (partition and offset; for closed sessions the key).
 *
 * A secondary view sends none of it: `output-share.ts` says what becomes of its outputs instead.
 *
 * Of a closed session the topic keeps what came last, so a former owner must not append: none is
 * tried under a lease that is not current, also not again.
 *
 * What is too much for one append goes in halves. A poison record that the reject topic does not take
 * alone is kept as its beginning: the whole of it is in `playback.events`, where the reject says.
 */
import { encodeException } from '../shared/log/exception-record.ts'
import { encodeReject, type Sealer } from '../shared/log/reject-record.ts'
import type { EventLog, LogRecord, NewRecord } from '../shared/log/event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { FoldOutput, PartitionFold } from '../shared/qoe/fold.ts'
import type { FoldException, RowOrigin, SessionRow } from '../shared/speed/rows.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { processorErrors } from './errors.ts'
import type { Lease } from './group.ts'
import { POISON_CUT_BYTES, POISON_REASON_CHARS_MAX } from './limits.ts'
import { OutputShare } from './output-share.ts'
import type { PartitionRole } from './view-role.ts'
import { retry, type RetryContext } from './retry.ts'
import type { ProcessorTelemetry } from './telemetry.ts'
import type { Traces } from './traces.ts'

const SESSION_ID_CHARS_MAX = 64

export interface PoisonFound {
  readonly record: LogRecord
  readonly reason: string
}

/** How many partitions the output topics have. */
export type OutputPartitions = Readonly<Record<'exceptions' | 'sessions' | 'rejects', number>>

export interface OutputSenderParts {
  readonly origin: RowOrigin
  readonly fold: PartitionFold
  readonly lease: Pick<Lease, 'isCurrent'>
  readonly role: PartitionRole
  readonly log: EventLog
  readonly sealer: Sealer
  /** Absent unless they are to be told. */
  readonly traces: Pick<Traces, 'of'> | undefined
  readonly telemetry: ProcessorTelemetry
  readonly outputsPerAppendMax: number
  readonly outputPartitions: OutputPartitions
  /** Of what is pending at first, what came of records below it is this view's own to deliver. */
  readonly owedOffset: number
  retryContext(call: string): RetryContext
  onFailure(error: unknown): void
}

export class OutputSender {
  readonly #parts: OutputSenderParts
  readonly #share: OutputShare
  #sending: Promise<void> | undefined

  constructor(parts: OutputSenderParts) {
    this.#parts = parts
    const { pendingOutputs, nextOffset } = parts.fold.status
    this.#share = new OutputShare(parts.role, parts.owedOffset)
    this.#share.verdict(pendingOutputs, nextOffset)
  }

  /** Below which offset a checkpoint that is cut at `nextOffset` has outputs to deliver. */
  owedOffset(nextOffset: number): number {
    return this.#share.owedOffset(nextOffset)
  }

  /** Timed step: begins sending what is pending unless that is under way. */
  kick(): void {
    if (this.#sending === undefined) this.#begin().catch(this.#parts.onFailure)
  }

  /** Sends everything that is pending and not held, and waits for it. */
  async flush(): Promise<void> {
    // A timed step may begin another in between; two at a time would take the same outputs twice.
    while (this.#sending !== undefined) await this.#sending
    await this.#begin()
  }

  #begin(): Promise<void> {
    const sent = this.#send().finally(() => (this.#sending = undefined))
    this.#sending = sent.catch(() => undefined)
    return sent
  }

  async #send(): Promise<void> {
    const { fold, outputsPerAppendMax, origin, telemetry, traces } = this.#parts
    for (;;) {
      const { pendingOutputs, nextOffset } = fold.status
      const { kind, count } = this.#share.verdict(pendingOutputs, nextOffset)
      if (kind === 'hold') return
      const outputs = fold.pendingOutputs(Math.min(count, outputsPerAppendMax))
      if (kind === 'send') {
        const exceptions = outputs.flatMap(exceptionsOf)
        await this.#appendAll(
          'exceptions',
          exceptions.map((one) => exceptionRecord(one, traces?.of(one.sessionId))),
        )
        await this.#appendAll(
          'sessions',
          outputs.flatMap(closedSessionsOf).map(closedSessionRecord),
        )
      } else telemetry.outputsLeft(origin.partition, outputs.length)
      fold.acknowledgeOutputs(outputs.length)
      this.#share.taken(outputs.length)
    }
  }

  /** Record step: resolves when every poison record of the batch is durable in the reject topic. */
  async keepPoison(found: readonly PoisonFound[]): Promise<void> {
    const { telemetry, role } = this.#parts
    // The primary has kept what its rows cover, but for what a former one owes.
    const { isPrimary, owedOffset, primaryOffset } = role
    const own = found.filter(
      ({ record: { offset } }) => isPrimary || offset < owedOffset || offset >= primaryOffset,
    )
    await this.#keep(own)
    for (const { record, reason } of own) {
      const { partition, offset } = record
      telemetry.poisonKept(partition, { offset, reason, ...this.#traceOf(record) })
    }
  }

  /** Of a record that cannot be read its header is all that there is. */
  #traceOf({ headers }: LogRecord): { traceparent?: string } {
    return this.#parts.traces === undefined ? {} : traceHeader(headers['traceparent'])
  }

  #rejectOf(poison: PoisonFound, bytesMax?: number): NewRecord {
    const reject = poisonRecord(poison, this.#parts.sealer, bytesMax)
    return { ...reject, headers: { ...reject.headers, ...this.#traceOf(poison.record) } }
  }

  async #keep(found: readonly PoisonFound[]): Promise<void> {
    const { telemetry } = this.#parts
    const [alone] = found
    try {
      await this.#append(
        'rejects',
        found.map((poison) => this.#rejectOf(poison)),
      )
    } catch (error) {
      if (!isTooLarge(error) || alone === undefined) throw error
      if (found.length > 1) return await inHalves(found, (half) => this.#keep(half))
      await this.#append('rejects', [this.#rejectOf(alone, POISON_CUT_BYTES)])
      telemetry.poisonCut(alone.record.partition, alone.record.value.length)
    }
  }

  async #appendAll(topic: keyof OutputPartitions, records: readonly NewRecord[]): Promise<void> {
    try {
      await this.#append(topic, records)
    } catch (error) {
      if (!isTooLarge(error) || records.length < 2) throw error
      await inHalves(records, (half) => this.#appendAll(topic, half))
    }
  }

  async #append(topic: keyof OutputPartitions, records: readonly NewRecord[]): Promise<void> {
    if (records.length === 0) return
    const { log, origin, outputPartitions, retryContext, telemetry } = this.#parts
    const labelled = records.map((record) => ({
      ...record,
      headers: { ...record.headers, view: origin.view },
    }))
    // The owner of an events partition is the one writer of the same partition of its outputs.
    const partition = origin.partition % outputPartitions[topic]
    await retry(retryContext('append'), async () => {
      if (!this.#parts.lease.isCurrent) throw processorErrors.create('PROCESSOR_LEASE_LAPSED')
      await log.append(TOPICS[topic], partition, labelled)
    })
    telemetry.outputsSent(origin.partition, TOPICS[topic], records.length)
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof BackhaulError && error.code === 'LOG_RECORD_TOO_LARGE'
}

/** One after the other, so that the order stays. */
async function inHalves<Item>(
  items: readonly Item[],
  send: (half: readonly Item[]) => Promise<void>,
): Promise<void> {
  const middle = Math.ceil(items.length / 2)
  await send(items.slice(0, middle))
  await send(items.slice(middle))
}

function exceptionsOf(output: FoldOutput): FoldException[] {
  return output.kind === 'exception' ? [output.exception] : []
}

function closedSessionsOf(output: FoldOutput): SessionRow[] {
  return output.kind === 'closedSession' ? [output.row] : []
}

function exceptionRecord(exception: FoldException, traceparent: string | undefined): NewRecord {
  return {
    key: exception.sessionId,
    value: encodeException(exception),
    headers: { schema: 'exception.v1', ...traceHeader(traceparent) },
  }
}

function traceHeader(traceparent: string | undefined): { traceparent?: string } {
  return traceparent === undefined ? {} : { traceparent }
}

function closedSessionRecord(row: SessionRow): NewRecord {
  return { key: row.sessionId, value: jsonLine(row), headers: { schema: 'session.v1' } }
}

function poisonRecord(
  { record, reason }: PoisonFound,
  sealer: Sealer,
  bytesMax = Number.POSITIVE_INFINITY,
): NewRecord {
  const { key, partition, offset, loggedAtMs, value } = record
  const sessionId =
    key !== undefined && key !== '' && key.length <= SESSION_ID_CHARS_MAX ? key : undefined
  return {
    key: sessionId,
    value: encodeReject({
      stage: 'processor',
      code: 'PROCESSOR_RECORD_POISON',
      detail: reason.slice(0, POISON_REASON_CHARS_MAX),
      sessionId,
      receivedAtMs: loggedAtMs,
      source: { partition, offset },
      cutFromBytes: value.length > bytesMax ? value.length : undefined,
      sealed: sealer.seal(value.subarray(0, bytesMax)),
    }),
    headers: { schema: 'reject.v1' },
  }
}

/** Integers beyond 2^53 as decimal strings, as everywhere in JSON. */
function jsonLine(value: unknown): Uint8Array {
  const text = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? part.toString() : part,
  )
  return new TextEncoder().encode(text)
}
