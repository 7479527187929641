/** What a core does, from the runs that are kept; what no run has shown yet is assumed, and says so. */
import { newestOutcomes, type KeptOutcome } from '../../loadtest/acceptance/results.ts'

export interface Figure {
  readonly value: number
  readonly unit: string
  readonly what: string
  /** The run, or why it is assumed. */
  readonly source: string
  readonly isMeasured: boolean
  /** The events a second at which it was measured: what is beyond is extrapolated. */
  readonly measuredAtEps?: number
}

export const FRAME_SIZES = [1, 10, 100] as const
export type FrameSize = (typeof FRAME_SIZES)[number]

export interface Figures {
  readonly gateway: Readonly<Record<FrameSize, Figure>>
  readonly connection: Figure
  readonly broker: Figure
  readonly processor: Figure
  readonly eventsPerRow: Figure
  readonly batch: Figure
  readonly cassandra: Figure
}

type Kept = ReadonlyMap<string, KeptOutcome>

const NS_PER_SECOND = 1e9

export function figuresOf(kept: Kept = newestOutcomes()): Figures {
  return {
    gateway: { 1: gateway(kept, 1), 10: gateway(kept, 10), 100: gateway(kept, 100) },
    connection: claimed(kept, {
      proof: 'idle-memory',
      claim: 'process memory of an idle connection',
      what: 'memory of a connection',
      unit: 'B',
      assumed: 4_000,
    }),
    broker: broker(kept),
    processor: claimed(kept, {
      proof: 'processor-speed-10',
      claim: 'events a second and core of the processor',
      rate: 'events a second, with brokers and store on the same cores',
      what: 'processor, 10 events a frame',
      unit: 'events/s/core',
      assumed: 200_000,
    }),
    eventsPerRow: claimed(kept, {
      proof: 'processor-speed-10',
      claim: 'events a row',
      what: 'events for which a row is written',
      unit: 'events',
      assumed: 17,
    }),
    batch: batch(kept),
    cassandra: assumed('rows that a core of Cassandra takes', 30_000, 'rows/s/core'),
  }
}

/** The lowest of the loads of this frame size: at its highest rate and paced. */
function gateway(kept: Kept, frame: FrameSize): Figure {
  const what = `gateway, ${frame} event${frame === 1 ? '' : 's'} a frame`
  const runs = [`steady-${frame}`, `ceiling-${frame}`].flatMap((name) => {
    const found = kept.get(name)
    if (found === undefined || 'failure' in found.outcome) return []
    const { held, load } = found.outcome
    const figures = held ?? load
    if (figures === undefined || figures.eventsPerCoreSecond <= 0) return []
    const { eventsPerCoreSecond: value, eventsPerSecond } = figures
    return [{ value, eventsPerSecond, source: sourceOf(name, found) }]
  })
  const [lowest] = runs.toSorted((left, right) => left.value - right.value)
  if (lowest === undefined) return assumed(what, 2_000 * frame, 'events/s/core')
  const { value, source } = lowest
  const measuredAtEps = Math.max(...runs.map(({ eventsPerSecond }) => eventsPerSecond))
  return { what, value, unit: 'events/s/core', source, isMeasured: true, measuredAtEps }
}

/** Of one broker without replicas, beside the load of 10 events a frame. */
function broker(kept: Kept): Figure {
  const what = 'broker, a replica'
  const found = kept.get('steady-10')
  if (found === undefined || 'failure' in found.outcome || found.outcome.load === undefined)
    return assumed(what, 400_000, 'events/s/core')
  const { eventsPerSecond, brokerCores } = found.outcome.load
  return {
    what,
    value: Math.round(eventsPerSecond / brokerCores),
    unit: 'events/s/core',
    source: sourceOf('steady-10', found),
    isMeasured: true,
    measuredAtEps: eventsPerSecond,
  }
}

/** All steps of a run, one after another. */
function batch(kept: Kept): Figure {
  const what = 'batch, log to facts'
  const found = kept.get('batch-10m')
  if (found === undefined || 'failure' in found.outcome)
    return assumed(what, 50_000, 'events/s/core')
  const steps = found.outcome.claims.filter(
    ({ what: claim, unit }) =>
      claim.startsWith('batch, ') && !claim.includes('default size') && unit === 'ns/event',
  )
  const nsPerEvent = steps.reduce((sum, { measured }) => sum + measured, 0)
  const value = Math.round(NS_PER_SECOND / nsPerEvent)
  const source = sourceOf('batch-10m', found)
  return { what, value, unit: 'events/s/core', source, isMeasured: true, measuredAtEps: value }
}

interface Wanted {
  readonly proof: string
  readonly claim: string
  /** The claim of the events a second at which it was measured. */
  readonly rate?: string
  readonly what: string
  readonly unit: string
  readonly assumed: number
}

function claimed(kept: Kept, wanted: Wanted): Figure {
  const { proof, what, unit } = wanted
  const found = kept.get(proof)
  const claims = found === undefined || 'failure' in found.outcome ? [] : found.outcome.claims
  const claim = claims.find((one) => one.what === wanted.claim)
  if (found === undefined || claim === undefined) return assumed(what, wanted.assumed, unit)
  const rate = claims.find((one) => wanted.rate !== undefined && one.what === wanted.rate)
  return {
    what,
    unit,
    value: claim.measured,
    source: sourceOf(proof, found),
    isMeasured: true,
    ...(rate !== undefined && { measuredAtEps: rate.measured }),
  }
}

function assumed(what: string, value: number, unit: string): Figure {
  return { what, value, unit, source: 'assumed: no run is kept yet', isMeasured: false }
}

function sourceOf(name: string, { run }: KeptOutcome): string {
  return `${name}, ${run.startedAt.slice(0, 10)}, commit ${run.commit}`
}
