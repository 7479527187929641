/**
 * From events a second to cores, disks, nodes and dollars. Everything is proportional: no limit of a
 * cluster as a whole is in it, which is why what lies beyond a measured rate is called extrapolated.
 */
import { HOURS_PER_MONTH, NODE, USE, type Prices } from './assumptions.ts'
import type { Figure, Figures, FrameSize, ServingFigures } from './figures.ts'

const DAY_S = 86_400
const GB = 1e9
const MONTH_S = HOURS_PER_MONTH * 3_600

export interface Part {
  readonly name: 'gateway' | 'brokers' | 'processor' | 'Cassandra' | 'batch' | 'serving'
  /** At the utilisation that is aimed at. */
  readonly cores: number
  /** How many times the rate at which its figure was measured; absent for what was never measured. */
  readonly beyondMeasured: number | undefined
  /** Its load is no share of the events, but a guess at how it is used. */
  readonly isUseAssumed?: boolean
}

export interface Size {
  readonly eps: number
  readonly parts: readonly Part[]
  readonly gatewayPods: number
  readonly connections: number
  readonly nodes: number
  readonly logGb: number
  readonly rowGb: number
  readonly objectGb: number
  readonly costs: Readonly<Record<keyof typeof COST_NAMES, number>>
  readonly monthly: number
}

export const COST_NAMES = {
  nodes: 'nodes',
  disks: 'disks of brokers and Cassandra',
  objects: 'objects',
  ingress: 'load balancer',
  cluster: 'cluster',
} as const

/** Least cores of what has to survive the loss of a zone, however little it has to do. */
const CORES_MIN = 3
const NODES_MIN = 3

interface Wanted {
  readonly eps: number
  readonly frame: FrameSize
  readonly figures: Figures
  readonly prices: Prices
}

export function sizeOf({ eps, frame, figures, prices }: Wanted): Size {
  const parts = partsOf(eps, frame, figures)
  const cores = parts.reduce((sum, part) => sum + part.cores, 0)
  const nodes = Math.max(NODES_MIN, Math.ceil(cores / (NODE.cores - NODE.systemCores)))
  const stores = storesOf(eps)
  const { logGb, rowGb, objectGb } = stores
  const costs = {
    nodes: nodes * prices.nodeHour * HOURS_PER_MONTH,
    disks: (logGb + rowGb) * prices.ssdGbMonth,
    objects: objectGb * prices.objectGbMonth,
    ingress: ((eps * USE.requestBytes.value * MONTH_S) / GB) * prices.ingressGb,
    cluster: prices.clusterHour * HOURS_PER_MONTH,
  }
  const connections = connectionsOf(eps, frame)
  return {
    eps,
    parts,
    connections,
    gatewayPods: gatewayPods(parts, connections),
    nodes,
    ...stores,
    costs,
    monthly: Object.values(costs).reduce((sum, cost) => sum + cost, 0),
  }
}

function partsOf(eps: number, frame: FrameSize, figures: Figures): Part[] {
  const { gateway, broker, processor, batch, cassandraRows, cassandraLive, eventsPerRow } = figures
  const part = (name: Part['name'], perSecond: number, figure: Figure): Part => ({
    name,
    cores: Math.max(CORES_MIN, perSecond / figure.value / USE.utilisation.value),
    beyondMeasured: figure.measuredAt === undefined ? undefined : perSecond / figure.measuredAt,
  })
  const replicas = USE.rowReplicas.value
  const byRows = part('Cassandra', (eps / eventsPerRow.value) * replicas, cassandraRows)
  const byPace = part('Cassandra', eps * replicas, cassandraLive)
  const ofProcessor = part('processor', eps, processor)
  return [
    part('gateway', eps, gateway[frame]),
    part('brokers', eps * USE.logReplicas.value, broker),
    ofProcessor,
    // Rows may be more than a run's, and batches smaller than a full one's: what takes more counts.
    byRows.cores > byPace.cores ? byRows : byPace,
    part('batch', eps, batch),
    servingPart(figures.serving, Math.ceil(ofProcessor.cores)),
  ]
}

/**
 * Who looks is not more with more events, but an answer from the live side merges the rows of every
 * partition, of which there are at least as many as cores of processors.
 */
function servingPart({ costs, partitions }: ServingFigures, partitionsMin: number): Part {
  const merged = Math.max(1, partitionsMin / partitions)
  const uses: readonly (readonly [Figure, number])[] = [
    [costs.dashboards, USE.dashboards.value * merged],
    [costs.live, USE.liveRequests.value * merged],
    [costs.history, USE.historyRequests.value],
    [costs.session, USE.sessionRequests.value],
  ]
  const cores = uses.reduce((sum, [figure, rate]) => sum + rate / figure.value, 0)
  const beyond = uses.flatMap(([{ measuredAt }, rate]) =>
    measuredAt === undefined ? [] : [rate / measuredAt],
  )
  return {
    name: 'serving',
    cores: Math.max(CORES_MIN, cores / USE.utilisation.value),
    beyondMeasured: beyond.length < uses.length ? undefined : Math.max(...beyond),
    isUseAssumed: true,
  }
}

function storesOf(eps: number) {
  const { logBytes, logDays, logReplicas, rowBytes, rowDays, rowReplicas, diskShare } = USE
  const sessions = (days: number) => (eps / USE.eventsPerSession.value) * days * DAY_S
  const logBytesKept = eps * logBytes.value * logDays.value * DAY_S * logReplicas.value
  const rowBytesKept = sessions(rowDays.value) * rowBytes.value * rowReplicas.value
  return {
    logGb: logBytesKept / diskShare.value / GB,
    rowGb: rowBytesKept / diskShare.value / GB,
    objectGb: (eps * USE.objectBytes.value * USE.objectDays.value * DAY_S) / GB,
  }
}

/** Players that send an event a frame are connected themselves; pools and relays are few. */
function connectionsOf(eps: number, frame: FrameSize): number {
  return frame === 1 ? eps / USE.eventsPerPlayerSecond.value : 0
}

function gatewayPods(parts: readonly Part[], connections: number): number {
  const cores = parts.find(({ name }) => name === 'gateway')?.cores ?? 0
  return Math.max(Math.ceil(cores), Math.ceil(connections / USE.connectionsPerPod.value))
}
