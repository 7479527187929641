/** An event log in memory that a test can hold, fail and look into. */
import type {
  Appended,
  EventLog,
  GroupMember,
  LogRecord,
  NewRecord,
  OffsetRange,
  ReadResult,
  TopicDescription,
  TopicSpec,
} from '../../shared/log/event-log.ts'
import { logErrors } from '../../shared/log/log-errors.ts'
import type { Clock } from '../../shared/runtime/clock.ts'

interface HeldAppend {
  proceed(): void
}

export class ControlledLog implements EventLog {
  readonly #clock: Clock
  readonly #topics = new Map<string, LogRecord[][]>()
  readonly #held: HeldAppend[] = []
  #holding: (topic: string, partition: number) => boolean = () => false
  #failing: ((records: readonly NewRecord[], topic: string) => Error | undefined) | undefined
  /** Added to the append times that are told. */
  skewMs = 0
  appends = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Appends wait until `release`; all, or those to one topic or partition. */
  hold(topic?: string, partition?: number): void {
    this.#holding = (ofTopic, ofPartition) =>
      (topic ?? ofTopic) === ofTopic && (partition ?? ofPartition) === ofPartition
  }

  release(): void {
    this.#holding = () => false
    for (const held of this.#held.splice(0)) held.proceed()
  }

  get heldAppends(): number {
    return this.#held.length
  }

  /** Appends reject with what `failure` gives; `undefined` for those that may pass. */
  failWith(
    failure: ((records: readonly NewRecord[], topic: string) => Error | undefined) | undefined,
  ): void {
    this.#failing = failure
  }

  fail(): void {
    this.failWith(() => logErrors.create('LOG_UNAVAILABLE'))
  }

  heal(): void {
    this.failWith(undefined)
  }

  /** All records of a topic, partition by partition. */
  records(topic: string): LogRecord[] {
    return (this.#topics.get(topic) ?? []).flat()
  }

  values(topic: string): Record<string, unknown>[] {
    return this.records(topic).map(
      (record) => JSON.parse(Buffer.from(record.value).toString()) as Record<string, unknown>,
    )
  }

  ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    for (const { name, partitions } of topics)
      if (!this.#topics.has(name))
        this.#topics.set(
          name,
          Array.from({ length: partitions }, () => []),
        )
    return Promise.resolve()
  }

  describeTopic(topic: string): Promise<TopicDescription> {
    return Promise.resolve({ topicId: topic, partitions: this.#partitionsOf(topic).length })
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    this.appends += 1
    if (this.#holding(topic, partition))
      await new Promise<void>((resolve) => this.#held.push({ proceed: resolve }))
    const failure = this.#failing?.(records, topic)
    if (failure !== undefined) throw failure
    const log = this.#partitionsOf(topic)[partition]
    if (log === undefined) throw logErrors.create('LOG_TOPIC_UNKNOWN')
    const baseOffset = log.length
    const appendTimeMs = this.#clock.nowMs() + this.skewMs
    for (const { key, value, headers } of records)
      log.push({
        partition,
        offset: log.length,
        loggedAtMs: appendTimeMs,
        key,
        value: Uint8Array.from(value),
        headers: { ...headers },
      })
    return { baseOffset, appendTimeMs }
  }

  read(): Promise<ReadResult> {
    return Promise.reject(new Error('the gateway never reads'))
  }

  readAt(): Promise<(LogRecord | undefined)[]> {
    return Promise.reject(new Error('the gateway never reads'))
  }

  offsets(topic: string, partition: number): Promise<OffsetRange> {
    return Promise.resolve({ start: 0, end: this.#partitionsOf(topic)[partition]?.length ?? 0 })
  }

  joinGroup(): Promise<GroupMember> {
    return Promise.reject(new Error('the gateway joins no group'))
  }

  committedOffset(): Promise<number | undefined> {
    return Promise.resolve(undefined)
  }

  applyRetention(): Promise<number> {
    return Promise.resolve(0)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #partitionsOf(topic: string): LogRecord[][] {
    const found = this.#topics.get(topic)
    if (found === undefined) throw logErrors.create('LOG_TOPIC_UNKNOWN', { received: topic })
    return found
  }
}
