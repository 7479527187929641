/**
 * Appends frames to real brokers as fast as they are acknowledged, one append of each lane at a
 * time: `node kafka-append-process.ts <client> <brokers> <events a frame> <events>`. A process of
 * its own, so that its CPU time is the client's alone. Prints one line of JSON.
 */
import { randomUUID } from 'node:crypto'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import type { NewRecord } from '../../shared/log/event-log.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { FRAME_SCHEMA } from '../../shared/log/record.ts'
import { seededRandom } from '../../shared/runtime/random.ts'

const LANES = 12
/** About what a lane collects in 20 ms at 200,000 events a second. */
const APPEND_BYTES = 48 * 1024
/** Events that are built; appends repeat them. */
const DISTINCT_EVENTS = 200_000
const WARM_UP_SHARE = 0.2
const START_MS = 1_795_000_000_000

const [client, brokers = '', eventsPerFrame, events] = process.argv.slice(2)
if (client !== 'platformatic' && client !== 'kafkajs')
  throw new TypeError(`a client of platformatic, kafkajs; received ${client}`)

const records = frames(Number(eventsPerFrame))
const bytes = records.reduce((sum, { value }) => sum + value.length, 0)
const perAppend = Math.max(1, Math.round(APPEND_BYTES / (bytes / records.length)))
const log = await openKafkaEventLog({
  config: kafkaSettings({ brokers: brokers.split(','), client }),
  clock: systemClock,
})
const topic = `bench-${randomUUID()}`
await log.ensureTopics([
  { name: topic, partitions: LANES, retentionMs: 3_600_000, retentionBytes: 1 << 30 },
])
const total = Math.ceil(Number(events) / Number(eventsPerFrame))
await appendAll(Math.ceil(total * WARM_UP_SHARE))
const cpuBefore = process.cpuUsage()
const startMs = performance.now()
const latencies = await appendAll(total)
const cpu = process.cpuUsage(cpuBefore)
const wallMs = performance.now() - startMs
await log.close()
const quantile = (p: number) => latencies[Math.floor(latencies.length * p)] ?? 0
console.log(
  JSON.stringify({
    wallMs,
    cpuMs: (cpu.user + cpu.system) / 1_000,
    appendP50Ms: Math.round(quantile(0.5)),
    appendP99Ms: Math.round(quantile(0.99)),
  }),
)

/** Latencies of all appends in milliseconds, ascending. */
async function appendAll(frames: number): Promise<number[]> {
  const found: number[] = []
  let left = frames
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      for (let at = lane * 997; left > 0; at += perAppend) {
        left -= perAppend
        const started = performance.now()
        await log.append(topic, lane, slice(at))
        found.push(performance.now() - started)
      }
    }),
  )
  return found.toSorted((a, b) => a - b)
}

function slice(at: number): readonly NewRecord[] {
  const from = at % (records.length - perAppend)
  return records.slice(from, from + perAppend)
}

/** Frames with the variety of real ones: heartbeats whose numbers no compression can foretell. */
function frames(eventsPerFrame: number): readonly NewRecord[] {
  const random = seededRandom(1)
  const headers = { schema: FRAME_SCHEMA, gateway: 'bench' }
  return Array.from({ length: Math.ceil(DISTINCT_EVENTS / eventsPerFrame) }, () => {
    const sessionId = random.uuid()
    const playheadMs = random.below(7_200_000)
    const events = Array.from({ length: eventsPerFrame }, (_, seq) => ({
      seq,
      type: 'heartbeat',
      at: START_MS + playheadMs + seq * 10_000 + random.below(50),
      playheadMs: playheadMs + seq * 10_000 + random.below(50),
      bufferMs: random.below(30_000),
      droppedFrames: random.below(40),
      throughputKbps: 2_000 + random.below(20_000),
    }))
    const session = { sessionId, contentId: `content-${random.below(2_000)}`, cdn: 'cdn-a' }
    const frame = { session, sentAt: START_MS + playheadMs, receivedAt: START_MS, events }
    return { key: sessionId, value: Buffer.from(JSON.stringify(frame)), headers }
  })
}
