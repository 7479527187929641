/**
 * The processor and a Kafka Streams program, one after the other over the same records of one topic
 * to the same end offsets. Unless both make the same minutes and sessions the numbers say nothing.
 */
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { endOffsets, kafkaOf } from '../read-topic.ts'
import { runProcessor } from './processor-side.ts'
import { differences, type Made, type Used } from './side.ts'
import { runStreams, type StreamsSettings } from './streams-side.ts'
import { fill, type FilledTopic, type Filler } from './topics.ts'

export interface Side extends Used {
  readonly name: string
  /** Where what it made is when it ends. */
  readonly keeps: string
  readonly eventsPerCpuSecond: number
}

export interface Comparison {
  readonly filled: FilledTopic
  /** The product first. */
  readonly sides: readonly Side[]
  /** Of all the others against the product. */
  readonly unequalMinutes: readonly string[]
  readonly unequalSessions: readonly string[]
  /** Of each side: how many more or fewer distinct events it counted than there are. */
  readonly miscounted: number
}

/** The first is as fresh as the product's narrow minutes; the second is what Streams does fastest. */
const STREAMS: readonly (StreamsSettings & { readonly name: string; readonly keeps: string })[] = [
  {
    name: 'Kafka Streams, committed every second',
    keeps: 'RocksDB, changelog topics',
    commitIntervalMs: 1_000,
    stores: 'rocksdb',
  },
  {
    name: 'Kafka Streams, committed every 30 s, in memory',
    keeps: 'memory, changelog topics',
    commitIntervalMs: 30_000,
    stores: 'memory',
  },
]

export async function compareSides(
  filler: Filler,
  eventsMin: number,
  said: (line: string) => void,
): Promise<Comparison> {
  const kafka = await startKafka({ profile: 'load' })
  try {
    const filled = await fill(kafka.bootstrap, filler, eventsMin)
    said(`${filled.events} events, ${filled.repeated} of them twice, in ${filled.frames} frames`)
    return await compare(kafka, filled, said)
  } finally {
    await kafka.stop()
  }
}

async function compare(
  kafka: Kafka,
  filled: FilledTopic,
  said: (line: string) => void,
): Promise<Comparison> {
  const ends = await endOffsets(kafkaOf(kafka.bootstrap), TOPICS.events)
  const read = filled.events + filled.repeated
  const tell = (side: Side) => {
    said(`${side.name}: ${side.eventsPerCpuSecond} events a CPU second, ${side.peakMiB} MiB`)
    return side
  }
  const ours = await runProcessor(kafka, ends)
  const keeps = 'rows in LMDB, checkpoints'
  const sides = [tell(sideOf({ name: 'Backhaul processor', keeps }, ours.used, read))]
  const unequalMinutes: string[] = []
  const unequalSessions: string[] = []
  let miscounted = Math.abs(totalEvents(ours.made) - filled.events)
  for (const { name, keeps, ...settings } of STREAMS) {
    const { used, counts, made } = await runStreams(kafka, ends, settings)
    sides.push(tell(sideOf({ name, keeps }, used, read)))
    unequalMinutes.push(...differences(ours.made.minutes, made.minutes))
    unequalSessions.push(...differences(ours.made.sessions, made.sessions))
    miscounted += Math.abs(counts.events - filled.events)
    miscounted += Math.abs(counts.duplicates - filled.repeated)
  }
  return { filled, sides, unequalMinutes, unequalSessions, miscounted }
}

function sideOf(named: Pick<Side, 'name' | 'keeps'>, used: Used, events: number): Side {
  return { ...named, ...used, eventsPerCpuSecond: Math.round(events / used.cpuSeconds) }
}

function totalEvents({ sessions }: Made): number {
  let events = 0
  for (const [ofSession = 0] of sessions.values()) events += ofSession
  return events
}
