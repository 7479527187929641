/** Connections on sockets that a test holds in its hand, over a controlled log and a manual clock. */
import { Registry } from 'prom-client'
import { pino } from 'pino'
import { createPseudonymiser, parseKeyring } from '../../shared/events/identity.ts'
import { DEFAULT_FRAME_LIMITS } from '../../shared/events/limits.ts'
import { createSealer } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { seededRandom } from '../../shared/runtime/random.ts'
import { ByteBudget } from '../byte-budget.ts'
import { Clients } from '../clients.ts'
import { Connection, type ClientSocket, type ConnectionSettings } from '../connection.ts'
import { createEnrichment } from '../enrichment.ts'
import { Intake } from '../intake.ts'
import type { LaneBounds } from '../lane.ts'
import { Lanes } from '../lanes.ts'
import { createLedgers, type Ledger } from '../ledger.ts'
import { Rates, type RatesOptions } from '../rates.ts'
import { Rejects } from '../rejects.ts'
import { createGatewayTelemetry } from '../telemetry.ts'
import { ControlledLog } from './controlled-log.ts'

const SETTINGS: ConnectionSettings = {
  frameLimits: DEFAULT_FRAME_LIMITS,
  frameMaxBytes: 10_000,
  credit: { frames: 8, bytes: 20_000 },
  heartbeatMs: 10_000,
  sendBufferMaxBytes: 100_000,
  helloMs: 8_000,
  idleMs: 120_000,
  pingMs: 4_000,
  pongTimeoutMs: 5_000,
  maxLifetimeMs: 0,
  tokenGraceMs: 30_000,
  slowRetryMs: 1_000,
}

const BOUNDS: LaneBounds = {
  maxRecords: 1_000,
  maxBytes: 1_000_000,
  batchMaxRecords: 100,
  batchMaxBytes: 100_000,
  deadlineMs: 1_000,
}

export interface BenchOptions {
  readonly rates?: Partial<RatesOptions['bounds']>
  readonly rateEntriesMax?: number
  readonly settings?: Partial<ConnectionSettings>
  readonly bounds?: Partial<LaneBounds>
  readonly budgetBytes?: number
  readonly partitions?: number
}

interface BenchOrigin {
  readonly subject?: string
  readonly address?: string
  readonly tokenExpiresAtMs?: number
}

interface ServerMessage {
  readonly welcome?: Record<string, number>
  readonly ack?: number
  readonly creditFrames?: number
  readonly creditBytes?: number
  readonly rejected?: readonly {
    readonly frame: number
    readonly seq?: number
    readonly code: string
    readonly detail: string
  }[]
  readonly slow?: { readonly resendFrom: number; readonly retryAfterMs: number }
  readonly goaway?: { readonly reconnectAfterMs: number }
}

export class HeldSocket implements ClientSocket {
  readonly sent: string[] = []
  bufferedBytes = 0
  pings = 0
  ended: { readonly code: number; readonly reason: string } | undefined

  send(message: string): number {
    this.sent.push(message)
    return 1
  }

  getBufferedAmount(): number {
    return this.bufferedBytes
  }

  ping(): number {
    return (this.pings += 1)
  }

  end(code: number, reason: string): void {
    this.ended = { code, reason }
  }

  /** Everything said since the last call. */
  take(): ServerMessage[] {
    return this.sent.splice(0).map((message) => JSON.parse(message) as ServerMessage)
  }
}

export async function createBench(options: BenchOptions = {}) {
  const { partitions = 2 } = options
  const settings = { ...SETTINGS, ...options.settings }
  const clock = new ManualClock()
  const log = new ControlledLog(clock)
  const random = seededRandom(7)
  await log.ensureTopics(
    [TOPICS.events, TOPICS.rejects].map((name) => ({
      name,
      partitions,
      retentionMs: 1,
      retentionBytes: 1,
    })),
  )
  const budget = new ByteBudget(options.budgetBytes ?? 10_000_000)
  const ledgers = createLedgers()
  const telemetry = createGatewayTelemetry({
    registry: new Registry(),
    log: pino({ level: 'silent' }),
  })
  const lanes = new Lanes({
    pace: { lingerMinMs: 1, lingerMaxMs: 25, requestsPerSecond: 300 },
    bounds: { ...BOUNDS, ...options.bounds },
    log,
    budget,
    clock,
    random,
    failpoints: noFailpoints,
    observer: { appended: () => undefined, failed: () => undefined },
    eventPartitions: partitions,
    rejectPartitions: partitions,
  })
  const enrichment = createEnrichment({
    pseudonymiser: createPseudonymiser(parseKeyring(`k:${Buffer.alloc(32, 1).toString('base64')}`)),
    cacheEntriesMax: 100,
    instanceId: 'gateway-test',
    traceContext: false,
  })
  const sealer = createSealer(Buffer.alloc(32, 2))
  const rejects = new Rejects({ sealer, partitions, headers: { schema: 'reject.v1' } })
  const intake = new Intake({ lanes, rejects, enrichment, budget, ledgers, clock })
  const bounds = { connection: {}, address: {}, subject: {}, ...options.rates }
  const rates = new Rates({ bounds, entriesMax: options.rateEntriesMax ?? 100, clock, random })
  const clients = new Clients()
  const grants = { credit: true }
  const context = {
    settings,
    intake,
    rates,
    clock,
    random,
    telemetry,
    failpoints: noFailpoints,
    grantsCredit: () => grants.credit && !budget.isHigh,
    scheduleFlush: (connection: Connection) => clients.scheduleFlush(connection),
  }
  const open = (origin: BenchOrigin = {}) => {
    const socket = new HeldSocket()
    const principal = { subject: origin.subject, scopes: [], expiresAtMs: undefined }
    const source = enrichment.sourceOf({ principal, country: '', traceparent: '' })
    const { tokenExpiresAtMs, address, subject } = origin
    const from = { source, tokenExpiresAtMs, address, subject }
    const connection = new Connection(context, socket, from)
    connection.welcome()
    return { connection, socket }
  }
  return { clock, log, ledgers, lanes, budget, intake, rates, sealer, grants, settings, open }
}

/** Whether the books balance, and nothing is counted twice. */
export function isBalanced(ledger: Ledger): boolean {
  const { received, accepted, rejected, refused, inFlight } = ledger
  const byReason = Object.values(ledger.refusedBy).reduce((sum, count) => sum + count, 0)
  return (
    received === accepted + rejected + refused + inFlight && inFlight >= 0 && byReason === refused
  )
}

/** A frame as a client sends it. */
export function frameText(frame: number | undefined, fields: Record<string, unknown> = {}): string {
  return JSON.stringify({
    v: 1,
    frame,
    sentAt: 1_800_000_000_000,
    session: { sessionId: 's1' },
    events: [{ seq: 0, type: 'heartbeat', at: 1_800_000_000_000 }],
    ...fields,
  })
}

export function frameBytes(
  frame: number | undefined,
  fields?: Record<string, unknown>,
): Uint8Array {
  return Buffer.from(frameText(frame, fields))
}

/** The end of the current turn of the event loop, when acknowledgements go out. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve))
  })
}
