/**
 * Reads a topic back with Kafka's own console consumer: an independent witness of what is in the
 * log, which shares no line with what the tests are about.
 */
import { spawn } from 'node:child_process'
import type { Kafka } from '../kafka.ts'

export interface ReadBackRecord {
  readonly partition: number
  readonly offset: number
  readonly value: string
}

/** The consumer ends when nothing came for this long. */
const IDLE_MS = 6_000
const PRINTED = /^Partition:(\d+)\tOffset:(\d+)\t(.*)$/

export async function readBack(kafka: Kafka, topic: string): Promise<readonly ReadBackRecord[]> {
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

/** What the command printed; the consumer's idle end is a failure by its exit code. */
function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.once('error', reject)
    child.once('close', () => resolve(Buffer.concat(chunks).toString()))
  })
}
