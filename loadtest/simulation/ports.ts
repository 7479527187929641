/** A process's ports: the real interfaces, behind which calls go over the wire to what is in memory. */
import { KafkaGroupMember } from '../../shared/log/kafka-group-member.ts'
import type { GroupCluster, GroupConnection } from '../../shared/log/kafka-group-calls.ts'
import {
  createKafkaLogTelemetry,
  type KafkaLogTelemetry,
} from '../../shared/log/kafka-telemetry.ts'
import type { EventLog, GroupHandler, NewRecord } from '../../shared/log/event-log.ts'
import { logErrors } from '../../shared/log/log-errors.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { objectErrors } from '../../shared/objects/object-errors.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import type { TelemetryBase } from '../../shared/runtime/telemetry.ts'
import { speedErrors } from '../../shared/speed/speed-errors.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import type { GroupCoordinator } from './group-coordinator.ts'
import type { Life } from './life.ts'
import type { MemoryLog } from './memory-log.ts'
import type { MemoryObjectStore } from './memory-object-store.ts'
import type { MemorySpeedStore } from './memory-speed-store.ts'
import type { PortName, Wire } from './wire.ts'

/** What all processes share. */
export interface Backends {
  readonly log: MemoryLog
  readonly speed: MemorySpeedStore
  readonly objects: MemoryObjectStore
  readonly group: GroupCoordinator
  readonly wire: Wire
  /** What a process asked for that it must not have. */
  readonly violations: string[]
}

export interface PortsParts extends Backends {
  readonly life: Life
  readonly clock: Clock
  readonly telemetry: TelemetryBase
}

export const SESSION_TIMEOUT_MS = 4_000
const REBALANCE_TIMEOUT_MS = 12_000
const CALL_RETRY_MS = 200
const CALL_TIMEOUT_MS = 3_000

const REFUSALS = {
  log: () => logErrors.create('LOG_UNAVAILABLE'),
  group: () => logErrors.create('LOG_UNAVAILABLE'),
  speed: () => speedErrors.create('SPEED_UNAVAILABLE'),
  objects: () => objectErrors.create('OBJECT_UNAVAILABLE'),
} as const

interface Work<Result> {
  readonly name: string
  run(): Result | Promise<Result>
  runPart?(): void
}

function call<Result>(
  { wire, life }: PortsParts,
  port: PortName,
  { name, run, runPart }: Work<Result>,
): Promise<Result> {
  return wire.call(life, {
    port,
    name: `${port} ${name}`,
    refusal: REFUSALS[port],
    run: async () => run(),
    ...(runPart && { runPart }),
  })
}

export function logPort(parts: PortsParts): EventLog {
  const { log } = parts
  const asked = <Result>(work: Work<Result>) => call(parts, 'log', work)
  const memberIds = new Set<string>()
  const telemetry = createKafkaLogTelemetry(parts.telemetry)
  const append = (topic: string, partition: number, records: readonly NewRecord[]) => {
    if (topic !== TOPICS.events && topic !== TOPICS.alerts)
      refuseOutputsOfOthers(parts, { topic, partition, memberIds })
    const half = records.slice(0, Math.floor(records.length / 2))
    return asked({
      name: `append ${topic}/${partition} ${records.length}`,
      run: () => log.append(topic, partition, records),
      ...(half.length > 0 && { runPart: () => void log.append(topic, partition, half) }),
    })
  }
  return portOf<EventLog>('log', {
    append,
    describeTopic: (topic) => asked({ name: `describe ${topic}`, run: () => log.describe(topic) }),
    read: (topic, partition, request) =>
      asked({
        name: `read ${partition} from ${request.fromOffset}`,
        run: () => log.read(topic, partition, request),
      }),
    offsets: (topic, partition) =>
      asked({ name: `offsets ${partition}`, run: () => log.offsets(topic, partition) }),
    joinGroup: (group, topic, handler) =>
      join(parts, { group, topic, handler, memberIds, telemetry }),
  })
}

/** Decision 0020: whoever lost a partition appends nothing that it puts out. */
function refuseOutputsOfOthers(
  { group, life, violations }: PortsParts,
  append: {
    readonly topic: string
    readonly partition: number
    readonly memberIds: ReadonlySet<string>
  },
): void {
  const owner = group.ownerOf(append.partition)
  if (owner !== undefined && append.memberIds.has(owner)) return
  violations.push(
    `${life.name} appends to ${append.topic}/${append.partition}, which ${owner ?? 'nobody'} owns`,
  )
}

interface Joining {
  readonly group: string
  readonly topic: string
  readonly handler: GroupHandler
  /** Ids that the group gave to members of this process. */
  readonly memberIds: Set<string>
  readonly telemetry: KafkaLogTelemetry
}

async function join(parts: PortsParts, joining: Joining) {
  const { group, topic, handler, memberIds, telemetry } = joining
  const member = new KafkaGroupMember({
    group,
    topic,
    handler,
    cluster: clusterOf(parts, memberIds),
    clock: parts.clock,
    telemetry,
    sessionTimeoutMs: SESSION_TIMEOUT_MS,
    rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
    number: 1,
  })
  await member.join()
  return member
}

/** One broker, which keeps the group; a connection to it is one that calls go over. */
function clusterOf(parts: PortsParts, memberIds: Set<string>): GroupCluster {
  const { clock, log } = parts
  const address = { host: 'broker', port: 9_092 }
  const dropped = new Map<string, () => void>()
  return {
    async retry(work) {
      const deadlineMs = clock.monotonicMs() + CALL_TIMEOUT_MS
      for (;;) {
        try {
          return await work()
        } catch (error) {
          const isPassing = error instanceof BackhaulError && error.spec.retryable
          if (!isPassing || clock.monotonicMs() > deadlineMs) throw error
          await clock.sleep(CALL_RETRY_MS)
        }
      }
    },
    async topic(name) {
      const { topicId, partitions } = log.describe(name)
      return { name, topicId, errorCode: 0, leaders: Array.from({ length: partitions }, () => 1) }
    },
    coordinator: () => Promise.resolve(address),
    coordinatorNow: () => address,
    forgetCoordinator: () => undefined,
    markStale: () => undefined,
    connections: {
      get: (_address, purpose) =>
        Promise.resolve(connectionOf(parts, { purpose, dropped, memberIds })),
      drop: (_address, purpose) => {
        dropped.get(purpose)?.()
        return Promise.resolve()
      },
    },
  }
}

interface ConnectionParts {
  readonly purpose: string
  /** How a connection that is waited on ends, by its purpose. */
  readonly dropped: Map<string, () => void>
  readonly memberIds: Set<string>
}

function connectionOf(
  parts: PortsParts,
  { purpose, dropped, memberIds }: ConnectionParts,
): GroupConnection {
  const { group } = parts
  const asked = <Result>(work: Work<Result>) => {
    const drop = Promise.withResolvers<never>()
    dropped.set(purpose, () => drop.reject(REFUSALS.group()))
    return Promise.race([call(parts, 'group', work), drop.promise])
  }
  return {
    async joinGroup(request) {
      const joined = await asked({
        name: `join ${request.memberId}`,
        run: () => group.join(request),
      })
      memberIds.add(joined.memberId)
      return joined
    },
    syncGroup: (request) =>
      asked({ name: `sync ${request.memberId}`, run: () => group.sync(request) }),
    heartbeat: ({ memberId, generation }) =>
      asked({ name: `heartbeat ${memberId}`, run: () => group.heartbeat(memberId, generation) }),
    commitOffset: ({ memberId, generation }, commit) =>
      asked({
        name: `commit ${commit.partition} ${commit.offset}`,
        run: () => group.commit(memberId, generation, commit),
      }),
    leaveGroup: (_group, memberId) =>
      asked({ name: `leave ${memberId}`, run: () => group.leave(memberId) }),
  }
}

export function speedPort(parts: PortsParts): SpeedStore {
  const { speed } = parts
  const asked = <Result>(work: Work<Result>) => call(parts, 'speed', work)
  const half = <Row>(rows: readonly Row[]) => rows.filter((_, index) => index % 2 === 0)
  return portOf<SpeedStore>('speed', {
    putMinutes: (rows) =>
      asked({
        name: `minutes ${rows.length}`,
        run: () => speed.putMinutes(rows),
        runPart: () => speed.putMinutes(half(rows)),
      }),
    putSessions: (rows, positions) =>
      asked({
        name: `sessions ${rows.length}`,
        run: () => speed.putSessions(rows, positions),
        runPart: () => speed.putSessions([], half(positions)),
      }),
    putPartitions: (rows) =>
      asked({
        name: `progress ${rows[0]?.partition} ${rows[0]?.appliedOffset}`,
        run: () => speed.putPartitions(rows),
      }),
    readPartitions: (view) =>
      asked({ name: 'read progress', run: () => speed.readPartitions(view) }),
    readMinutes: (query) =>
      asked({ name: `read minutes ${query.cut}`, run: () => speed.readMinutes(query) }),
    readRuleStates: (view) =>
      asked({ name: 'read rule states', run: () => speed.readRuleStates(view) }),
    putRuleStates: (rows) =>
      asked({
        name: `rule states ${rows.length}`,
        run: () => speed.putRuleStates(rows),
        runPart: () => speed.putRuleStates(half(rows)),
      }),
  })
}

export function objectsPort(parts: PortsParts): ObjectStore {
  const { objects } = parts
  const asked = <Result>(work: Work<Result>) => call(parts, 'objects', work)
  return portOf<ObjectStore>('objects', {
    create: (name, bytes) =>
      asked({ name: `create ${name}`, run: () => objects.replace(name, bytes, 0) }),
    replace: (name, bytes, ifGeneration) =>
      asked({ name: `replace ${name}`, run: () => objects.replace(name, bytes, ifGeneration) }),
    read: (name) => asked({ name: `read ${name}`, run: () => objects.read(name) }),
    stat: (name) => asked({ name: `stat ${name}`, run: () => objects.read(name)?.info }),
    list: (prefix, options) =>
      asked({ name: `list ${prefix}`, run: () => objects.list(prefix, options) }),
    delete: (name, ifGeneration) =>
      asked({ name: `delete ${name}`, run: () => objects.delete(name, ifGeneration) }),
  })
}

/** A port of which a processor calls these methods; any other it calls is a defect of the run. */
function portOf<Port extends object>(name: string, methods: Partial<Port>): Port {
  return new Proxy(methods, {
    get(target, method) {
      const found: unknown = Reflect.get(target, method)
      if (found === undefined && method !== 'then')
        throw new Error(`the simulation has no ${name}.${String(method)}`)
      return found
    },
  }) as Port
}
