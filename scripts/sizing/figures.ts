/** What a core does, from the runs that are kept; what no run has shown yet is assumed, and says so. */
import { newestOutcomes, type KeptOutcome } from '../../loadtest/acceptance/results.ts'
import {
  CASSANDRA_ROWS,
  PAGES_OPEN,
  PAGES_PER_CORE,
  PARTITIONS_READ,
  requestsPerCore,
  requestsPerSecond,
  rowsPerCore,
  rowsPerSecond,
  SERVING_QUERIES,
} from '../../loadtest/acceptance/store-claims.ts'
import type { RequestKind } from '../../loadtest/api/request-kinds.ts'

export interface Figure {
  readonly value: number
  readonly unit: string
  readonly what: string
  /** The run, or why it is assumed. */
  readonly source: string
  readonly isMeasured: boolean
  /** The rate, of what the figure counts, at which it was measured: what is beyond is extrapolated. */
  readonly measuredAt?: number
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
  /** Of rows alone, as fast as they are taken. */
  readonly cassandraRows: Figure
  /** Of events at the pace of a load, as few as there are rows to a batch then. */
  readonly cassandraLive: Figure
  readonly serving: ServingFigures
}

export interface ServingFigures {
  readonly costs: Readonly<Record<'dashboards' | RequestKind, Figure>>
  /** Partitions of the log whose rows an answer from the live side has merged. */
  readonly partitions: number
}

type Kept = ReadonlyMap<string, KeptOutcome>

const NS_PER_SECOND = 1e9
/** The whole pipeline at a steady rate, 10 events a frame. */
const PACED = 'pipeline-50'

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
    processor: processor(kept),
    eventsPerRow: eventsPerRow(kept),
    batch: batch(kept),
    cassandraRows: cassandraRows(kept),
    cassandraLive: cassandraLive(kept),
    serving: serving(kept),
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
  const measuredAt = Math.max(...runs.map(({ eventsPerSecond }) => eventsPerSecond))
  return { what, value, unit: 'events/s/core', source, isMeasured: true, measuredAt }
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
    measuredAt: eventsPerSecond,
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
  return { what, value, unit: 'events/s/core', source, isMeasured: true, measuredAt: value }
}

/** The lower of the two: as fast as it can, and at the pace of a load, at which more rows are written. */
function processor(kept: Kept): Figure {
  const what = 'processor, 10 events a frame'
  const unit = 'events/s/core'
  return lowestMeasured([
    claimed(kept, {
      proof: 'processor-speed-10',
      claim: 'events a second and core of the processor',
      rate: 'events a second, with brokers and store on the same cores',
      what,
      unit,
      assumed: 200_000,
    }),
    claimed(kept, {
      proof: PACED,
      claim: 'events a CPU second of the processor',
      rate: 'acknowledged',
      what,
      unit,
      assumed: 200_000,
    }),
  ])
}

/** A processor that catches up writes fewer rows than one that keeps pace. */
function eventsPerRow(kept: Kept): Figure {
  const found = [PACED, 'processor-speed-10'].map((proof) =>
    claimed(kept, {
      proof,
      claim: 'events a row',
      what: 'events for which a row is written',
      unit: 'events',
      assumed: 17,
    }),
  )
  return lowestMeasured(found)
}

/** Of one node without replicas, with what readers of its rows take. */
function cassandraLive(kept: Kept): Figure {
  const what = 'Cassandra, a replica, at the pace of a load'
  const unit = 'events/s/core'
  const found = kept.get(PACED)
  const claims = found === undefined || 'failure' in found.outcome ? [] : found.outcome.claims
  const measuredOf = (name: string) => claims.find((claim) => claim.what === name)?.measured
  const [rate, cores] = [measuredOf('acknowledged'), measuredOf('Cassandra')]
  if (found === undefined || rate === undefined || cores === undefined)
    return assumed(what, 150_000, unit)
  const source = sourceOf(PACED, found)
  return { what, value: Math.round(rate / cores), unit, source, isMeasured: true, measuredAt: rate }
}

/** The dearer of the kinds of rows, whatever their share is. */
function cassandraRows(kept: Kept): Figure {
  const kinds = (['minutes', 'sessions'] as const).map((kind) =>
    claimed(kept, {
      proof: CASSANDRA_ROWS,
      claim: rowsPerCore(kind),
      rate: rowsPerSecond(kind),
      what: 'rows that a core of Cassandra takes, of the dearer kind',
      unit: 'rows/s/core',
      assumed: 30_000,
    }),
  )
  return lowest(kinds)
}

function lowestMeasured(figures: readonly Figure[]): Figure {
  const measured = figures.filter(({ isMeasured }) => isMeasured)
  return lowest(measured.length > 0 ? measured : figures)
}

function lowest(figures: readonly Figure[]): Figure {
  return figures.reduce((least, figure) => (figure.value < least.value ? figure : least))
}

function serving(kept: Kept): ServingFigures {
  const proof = SERVING_QUERIES
  const asked = (kind: RequestKind, what: string, requests: number) =>
    claimed(kept, {
      proof,
      claim: requestsPerCore(kind),
      rate: requestsPerSecond(kind),
      what,
      unit: 'requests/s/core',
      assumed: requests,
    })
  const partitions = claimed(kept, {
    proof,
    claim: PARTITIONS_READ,
    what: '',
    unit: '',
    assumed: 12,
  })
  return {
    partitions: partitions.value,
    costs: {
      dashboards: claimed(kept, {
        proof,
        claim: PAGES_PER_CORE,
        rate: PAGES_OPEN,
        what: 'serving, open dashboards',
        unit: 'dashboards/core',
        assumed: 200,
      }),
      live: asked('live', 'serving, live requests', 200),
      history: asked('history', 'serving, requests of the history', 20),
      session: asked('session', 'serving, requests of a session', 100),
    },
  }
}

interface Wanted {
  readonly proof: string
  readonly claim: string
  /** The claim of the rate at which it was measured. */
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
    ...(rate !== undefined && { measuredAt: rate.measured }),
  }
}

function assumed(what: string, value: number, unit: string): Figure {
  return { what, value, unit, source: 'assumed: no run is kept yet', isMeasured: false }
}

function sourceOf(name: string, { run }: KeptOutcome): string {
  return `${name}, ${run.startedAt.slice(0, 10)}, commit ${run.commit}`
}
