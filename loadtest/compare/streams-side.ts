/**
 * The Kafka Streams program as a process of its own, and what it made, read by kafkajs from the
 * changelog topics of its stores: what is there is what would survive its machine.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { javaProgram } from '../../scripts/services/artefacts.ts'
import type { Kafka } from '../../scripts/services/kafka.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { readTopic } from '../read-topic.ts'
import { addSums, MINUTE_SUMS, SESSION_SUMS, SideMeter, type Made, type Used } from './side.ts'

export interface StreamsSettings {
  readonly commitIntervalMs: number
  readonly stores: 'rocksdb' | 'memory'
}

export interface StreamsCounts {
  readonly events: number
  readonly duplicates: number
}

const SOURCES = join(import.meta.dirname, 'streams')
/** A throughput collector: nothing here waits for an answer. */
const JAVA_FLAGS = [
  '-Xms512m',
  '-Xmx1g',
  '-XX:+UseParallelGC',
  '-XX:+ExitOnOutOfMemoryError',
  '-Djava.awt.headless=true',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
] as const

export async function runStreams(
  kafka: Kafka,
  ends: ReadonlyMap<number, number>,
  { commitIntervalMs, stores }: StreamsSettings,
): Promise<{ readonly used: Used; readonly counts: StreamsCounts; readonly made: Made }> {
  const classPath = javaProgram(SOURCES)
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-streams-'))
  const applicationId = `streams-${crypto.randomUUID()}`
  const endsText = [...ends].map(([partition, end]) => `${partition}=${end}`).join(',')
  const args = [kafka.bootstrap.join(','), applicationId, TOPICS.events, endsText, folder]
  const program = ['StreamsCompare', ...args, `${commitIntervalMs}`, stores]
  try {
    const child = spawn('java', [...JAVA_FLAGS, '-cp', classPath, ...program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const meter = new SideMeter(child.pid ?? 0, kafka.broker(1).pid ?? 0)
    const { used, counts } = await ended(child, meter)
    return { used, counts, made: await readMade(kafka, applicationId) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Its line comes when all is written; its CPU time is read while it is still there. */
function ended(child: ChildProcessByStdio<Writable, Readable, null>, meter: SideMeter) {
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  let said: { readonly used: Used; readonly counts: StreamsCounts } | undefined
  createInterface(child.stdout).on('line', (line) => {
    said = { used: meter.end(), counts: JSON.parse(line) as StreamsCounts }
    child.stdin.end()
  })
  return new Promise<NonNullable<typeof said>>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      process.removeListener('exit', end)
      meter.end()
      if (said !== undefined && code === 0) resolve(said)
      else reject(new Error(`the Kafka Streams program ended with ${code}`))
    })
  })
}

async function readMade({ bootstrap }: Kafka, applicationId: string): Promise<Made> {
  const rows = async (store: string, names: readonly string[]) => {
    // The newest row of each partition's key counts; those of different partitions are added up.
    const newest = new Map<string, Map<string, readonly number[]>>()
    await readTopic(bootstrap, `${applicationId}-${store}-changelog`, (message, partition) => {
      const ofPartition = newest.get(`${partition}`) ?? new Map<string, readonly number[]>()
      newest.set(`${partition}`, ofPartition)
      const { key, value } = message
      if (key === null || value === null) throw new Error('a changelog row has key and value')
      ofPartition.set(
        key.toString(),
        names.map((_, at) => Number(value.readBigInt64BE(8 * at))),
      )
    })
    const all = new Map<string, readonly number[]>()
    for (const ofPartition of newest.values())
      for (const [key, sums] of ofPartition) addSums(all, key, sums)
    return all
  }
  return {
    minutes: await rows('minutes', MINUTE_SUMS),
    sessions: await rows('sessions', SESSION_SUMS),
  }
}
