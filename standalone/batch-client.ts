/**
 * The server's side of the process that runs its batch: the history as a warehouse to read, and
 * what the schedule does. A process that is away, slow or killed costs whoever asks it an error,
 * and nobody else anything.
 */
import type { Clock } from '../shared/runtime/clock.ts'
import { assert, errorFromData } from '../shared/runtime/errors.ts'
import type { Running } from '../shared/runtime/lifecycle.ts'
import type { BatchActivity } from '../shared/warehouse/batch-activity.ts'
import type { QueryLimits, Row, Select } from '../shared/warehouse/warehouse.ts'
import type { ReadSession, WarehouseReader } from '../shared/warehouse/warehouse-reader.ts'
import { BatchChild, type BatchChildOptions } from './batch-child.ts'
import { fromSlice, type FromBatch, type ToBatch } from './batch-messages.ts'
import { standaloneErrors } from './errors.ts'
import { BATCH_ANSWER_GRACE_MS, BATCH_READY_WAIT_MS, BATCH_REQUESTS_MAX } from './limits.ts'
import type { StandaloneTelemetry } from './telemetry.ts'

export interface BatchClientOptions extends Pick<BatchChildOptions, 'environment' | 'entry'> {
  readonly clock: Clock
  readonly telemetry: StandaloneTelemetry
}

interface Pending {
  readonly rows: Row[]
  resolve(answer: Answer): void
  reject(error: Error): void
}

/** What an answer ends with, beside the rows that came before. */
interface Answer {
  readonly rows: readonly Row[]
  readonly session?: number
  readonly text?: string
}

type Asked = { readonly kind: 'open' | 'metrics' } | Omit<QueryRequest, 'id'>
type QueryRequest = Extract<ToBatch, { kind: 'query' }>

const IDLE: BatchActivity = {
  isRunning: false,
  nextRunAtMs: undefined,
  failure: undefined,
  reconcile: undefined,
}

export class BatchClient implements WarehouseReader, Running {
  readonly #clock: Clock
  readonly #telemetry: StandaloneTelemetry
  readonly #child: BatchChild
  readonly #pending = new Map<number, Pending>()
  readonly #whenReady = new Set<() => void>()
  readonly #runListeners: (() => void)[] = []
  #activity = IDLE
  #lastId = 0
  /** Which process it is, counted. */
  #life = 0
  #stopped = false

  constructor(options: BatchClientOptions) {
    this.#clock = options.clock
    this.#telemetry = options.telemetry
    this.#child = new BatchChild({
      ...options,
      onMessage: (message) => this.#receive(message),
      onEnd: () => this.#ended(),
    })
  }

  get activity(): BatchActivity {
    return this.#activity
  }

  get processId(): number | undefined {
    return this.#child.processId
  }

  start(): void {
    this.#child.start()
  }

  onRun(listener: () => void): void {
    this.#runListeners.push(listener)
  }

  /**
   * Opens a session of the history; waits for a process that is starting. Throws
   * `STANDALONE_BATCH_AWAY` or `STANDALONE_BATCH_BUSY`, or what the warehouse throws.
   */
  async open(): Promise<ReadSession> {
    if (!this.#child.isReady) await this.#becomesReady()
    const life = this.#life
    const { session } = await this.#ask({ kind: 'open' }, BATCH_READY_WAIT_MS)
    assert(session !== undefined, 'a session that was opened has a number')
    return {
      query: (select, limits) => {
        // The next process counts its sessions from the beginning.
        if (life !== this.#life) return Promise.reject(away('an open session', 'a lost one'))
        return this.#query(session, select, limits)
      },
      close: () => {
        if (life === this.#life) this.#child.send({ kind: 'close', session })
        return Promise.resolve()
      },
    }
  }

  /** The metrics of the process, or nothing while it is away. */
  async metrics(): Promise<string> {
    if (!this.#child.isReady) return ''
    return this.#ask({ kind: 'metrics' }, BATCH_ANSWER_GRACE_MS).then(
      ({ text }) => text ?? '',
      () => '',
    )
  }

  stop(): Promise<void> {
    this.#stopped = true
    return this.#child.stop()
  }

  async #query(session: number, select: Select, limits: QueryLimits): Promise<readonly Row[]> {
    const withinMs = limits.timeoutMs + BATCH_ANSWER_GRACE_MS
    return (await this.#ask({ kind: 'query', session, select, limits }, withinMs)).rows
  }

  #ask(asked: Asked, withinMs: number): Promise<Answer> {
    if (this.#pending.size >= BATCH_REQUESTS_MAX) return Promise.reject(busy())
    const id = ++this.#lastId
    return new Promise<Answer>((resolve, reject) => {
      const cancel = this.#clock.after(withinMs, () =>
        this.#settle(id)?.reject(away(`an answer within ${withinMs} ms`, 'none')),
      )
      this.#pending.set(id, {
        rows: [],
        resolve: (answer) => (cancel(), resolve(answer)),
        reject: (error) => (cancel(), reject(error)),
      })
      this.#telemetry.batchRequests(this.#pending.size)
      if (!this.#child.send({ ...asked, id }))
        this.#settle(id)?.reject(away('a process that runs', 'none'))
    })
  }

  #receive(message: FromBatch): void {
    switch (message.kind) {
      case 'ready':
        for (const ready of this.#whenReady) ready()
        return
      case 'activity':
        this.#activity = message.activity
        if (message.runEnded) for (const listener of this.#runListeners) listener()
        return
      case 'opened': {
        const pending = this.#settle(message.id)
        // Nobody waits for it any more.
        if (pending === undefined) this.#child.send({ kind: 'close', session: message.session })
        else pending.resolve({ rows: [], session: message.session })
        return
      }
      case 'rows':
        this.#pending.get(message.id)?.rows.push(...fromSlice(message.slice))
        return
      case 'done': {
        const pending = this.#settle(message.id)
        return pending?.resolve({ rows: pending.rows })
      }
      case 'metrics':
        return this.#settle(message.id)?.resolve({ rows: [], text: message.text })
      case 'failed':
        return this.#settle(message.id)?.reject(errorFromData(message.error))
    }
  }

  /** Takes the request off the list. */
  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    this.#telemetry.batchRequests(this.#pending.size)
    return pending
  }

  #ended(): void {
    this.#life++
    this.#activity = { ...IDLE, reconcile: this.#activity.reconcile }
    for (const id of this.#pending.keys())
      this.#settle(id)?.reject(away('a process that runs', 'one that ended'))
  }

  #becomesReady(): Promise<void> {
    if (this.#stopped) return Promise.reject(away('a process that runs', 'one that stops'))
    if (this.#whenReady.size >= BATCH_REQUESTS_MAX) return Promise.reject(busy())
    return new Promise((resolve, reject) => {
      const ready = () => {
        this.#whenReady.delete(ready)
        cancel()
        resolve()
      }
      const cancel = this.#clock.after(BATCH_READY_WAIT_MS, () => {
        this.#whenReady.delete(ready)
        reject(away(`a process that is ready within ${BATCH_READY_WAIT_MS} ms`, 'none'))
      })
      this.#whenReady.add(ready)
    })
  }
}

function busy() {
  return standaloneErrors.create('STANDALONE_BATCH_BUSY', {
    expected: `at most ${BATCH_REQUESTS_MAX} requests at a time`,
    received: 'one more',
  })
}

function away(expected: string, received: string) {
  return standaloneErrors.create('STANDALONE_BATCH_AWAY', { expected, received })
}
