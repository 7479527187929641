/**
 * Reads a topic back with Kafka's own console consumer: an independent witness of what is in the
 * log, which shares no line with what the tests are about.
 */
import { spawn } from 'node:child_process'
import kafkajs from 'kafkajs'
import type { Kafka } from '../kafka.ts'

export interface ReadBackRecord {
  readonly partition: number
  readonly offset: number
  readonly value: string
}

/** The consumer gives up when nothing came for this long. */
const IDLE_MS = 15_000
const PRINTED = /^Partition:(\d+)\tOffset:(\d+)\t(.*)$/

/** All that is in the topic, to which nobody may write meanwhile: it ends after so many records. */
export async function readBack(kafka: Kafka, topic: string): Promise<readonly ReadBackRecord[]> {
  const count = await recordsIn(kafka, topic)
  if (count === 0) return []
  const printed = ['print.partition=true', 'print.offset=true', 'print.value=true']
  const output = await run('java', [
    '-XX:TieredStopAtLevel=1',
    '-Xmx256m',
    '-cp',
    kafka.classPath,
    'org.apache.kafka.tools.consumer.ConsoleConsumer',
    '--bootstrap-server',
    kafka.directBootstrap.join(','),
    '--topic',
    topic,
    '--from-beginning',
    '--max-messages',
    `${count}`,
    '--timeout-ms',
    `${IDLE_MS}`,
    ...printed.flatMap((property) => ['--formatter-property', property]),
  ])
  return output.split('\n').flatMap((line) => {
    const [, partition, offset, value] = PRINTED.exec(line) ?? []
    if (value === undefined) return []
    return [{ partition: Number(partition), offset: Number(offset), value }]
  })
}

/** Where the consumer stops: without it, it would wait for more until it gives up. */
async function recordsIn({ directBootstrap }: Kafka, topic: string): Promise<number> {
  const { NOTHING: logLevel } = kafkajs.logLevel
  const admin = new kafkajs.Kafka({ brokers: [...directBootstrap], logLevel }).admin()
  await admin.connect()
  try {
    const offsets = await admin.fetchTopicOffsets(topic)
    return offsets.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0)
  } finally {
    await admin.disconnect()
  }
}

/** What the command printed; that it gave up is a failure by its exit code, and shows in what is missing. */
function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.once('error', reject)
    child.once('close', () => resolve(Buffer.concat(chunks).toString()))
  })
}
