/**
 * How a session's events reach the gateway: framing, network delay, repeats, overtaking and
 * offline stretches, all seeded. None of it may change a metric, as long as frames overtake each
 * other by less than the reorder time and nothing arrives later than the allowed lateness.
 */
import type { PlaybackEvent, SessionContext } from '../../shared/events/schema.ts'
import { seededRandom, type Random } from '../../shared/runtime/random.ts'
import type { PlannedEvent } from './plan-events.ts'
import type { SimulatedSession } from './simulate-audience.ts'

export interface DeliveryOptions {
  readonly seed: number
  /** Events are collected for this long before a frame is sent. */
  readonly batchMs: number
  readonly frameEventsMax: number
  readonly delayMinMs: number
  readonly delayMaxMs: number
  /** Chance per frame that it takes another way and is overtaken, by up to `overtakenMaxMs`. */
  readonly overtakenChance: number
  readonly overtakenMaxMs: number
  /** Chance per frame that its acknowledgement is lost and it is sent again, framed otherwise. */
  readonly repeatChance: number
  readonly repeatAfterMaxMs: number
  /** Chance per session that the device is offline for a while and sends its queue afterwards. */
  readonly offlineChance: number
  readonly offlineMaxMs: number
}

export const CALM_DELIVERY: DeliveryOptions = {
  seed: 1,
  batchMs: 1_000,
  frameEventsMax: 50,
  delayMinMs: 20,
  delayMaxMs: 20,
  overtakenChance: 0,
  overtakenMaxMs: 0,
  repeatChance: 0,
  repeatAfterMaxMs: 0,
  offlineChance: 0,
  offlineMaxMs: 0,
}

export const ROUGH_DELIVERY: DeliveryOptions = {
  seed: 1,
  batchMs: 2_000,
  frameEventsMax: 10,
  delayMinMs: 5,
  delayMaxMs: 400,
  overtakenChance: 0.15,
  overtakenMaxMs: 3_000,
  repeatChance: 0.15,
  repeatAfterMaxMs: 60_000,
  offlineChance: 0.2,
  offlineMaxMs: 15 * 60_000,
}

export interface DeliveredFrame {
  readonly sessionId: string
  readonly context: SessionContext
  /** Device clock minus true time. */
  readonly clockOffsetMs: number
  /** Device clock at the transmission. */
  readonly sentAtMs: number
  /** True time at the gateway. */
  readonly arrivedAtMs: number
  readonly events: readonly PlaybackEvent[]
  /** Whether all its events were sent before. */
  readonly isRepeat: boolean
}

/** All frames of the sessions in order of arrival. */
export function deliver(
  sessions: Iterable<SimulatedSession>,
  options: DeliveryOptions,
): DeliveredFrame[] {
  const random = seededRandom(options.seed)
  const frames: DeliveredFrame[] = []
  for (const session of sessions) frames.push(...deliverSession(session, options, random))
  return frames.toSorted((a, b) => a.arrivedAtMs - b.arrivedAtMs)
}

/** Events of one part that are sent together. */
interface Batch {
  readonly part: number
  readonly sendAtMs: number
  readonly events: readonly PlaybackEvent[]
}

function deliverSession(
  session: SimulatedSession,
  options: DeliveryOptions,
  random: Random,
): DeliveredFrame[] {
  const offline = drawOffline(session, options, random)
  const frames: DeliveredFrame[] = []
  const transmit = (batch: Batch, sendAtMs: number, arrivedAtMs: number, isRepeat: boolean) => {
    const context = session.contexts[batch.part]
    if (context === undefined) throw new Error(`no context for part ${batch.part}`)
    const { sessionId } = session
    const { clockOffsetMs } = session.plan
    const sentAtMs = sendAtMs + clockOffsetMs
    const { events } = batch
    frames.push({ sessionId, context, clockOffsetMs, sentAtMs, arrivedAtMs, events, isRepeat })
  }
  const drawDelayMs = () =>
    options.delayMinMs + random.below(options.delayMaxMs - options.delayMinMs + 1)

  let connectionFreeAtMs = 0
  for (const batch of batchesOf(session.events, options)) {
    const waits = batch.sendAtMs >= offline.fromMs && batch.sendAtMs < offline.toMs
    const sendAtMs = waits ? offline.toMs : batch.sendAtMs
    if (random.next() < options.overtakenChance) {
      const extraMs = random.below(options.overtakenMaxMs + 1)
      transmit(batch, sendAtMs, sendAtMs + drawDelayMs() + extraMs, false)
    } else {
      // One connection delivers in order.
      connectionFreeAtMs = Math.max(connectionFreeAtMs, sendAtMs + drawDelayMs())
      transmit(batch, sendAtMs, connectionFreeAtMs, false)
    }
    if (random.next() >= options.repeatChance) continue
    const againAtMs = sendAtMs + random.below(options.repeatAfterMaxMs + 1)
    for (const half of halves(batch, random))
      transmit(half, againAtMs, againAtMs + drawDelayMs(), true)
  }
  return frames
}

function batchesOf(events: readonly PlannedEvent[], options: DeliveryOptions): Batch[] {
  const batches: (Batch & { readonly events: PlaybackEvent[] })[] = []
  for (const { part, trueAtMs, event } of events) {
    const sendAtMs = (Math.floor(trueAtMs / options.batchMs) + 1) * options.batchMs
    const open = batches.at(-1)
    const fits =
      open?.part === part &&
      open.sendAtMs === sendAtMs &&
      open.events.length < options.frameEventsMax
    if (fits) open.events.push(event)
    else batches.push({ part, sendAtMs, events: [event] })
  }
  return batches
}

function halves(batch: Batch, random: Random): Batch[] {
  const cut = random.below(batch.events.length)
  return [batch.events.slice(0, cut), batch.events.slice(cut)]
    .filter((events) => events.length > 0)
    .map((events) => ({ ...batch, events }))
}

function drawOffline(
  session: SimulatedSession,
  options: DeliveryOptions,
  random: Random,
): { fromMs: number; toMs: number } {
  if (random.next() >= options.offlineChance) return { fromMs: 0, toMs: 0 }
  const { startAtMs } = session.plan
  const fromMs = startAtMs + random.below(session.lastEventAtMs - startAtMs + 1)
  return { fromMs, toMs: fromMs + random.below(options.offlineMaxMs + 1) }
}
