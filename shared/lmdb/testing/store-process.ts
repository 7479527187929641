/**
 * A process of its own that writes both embedded stores, to be watched and killed:
 *
 *   node store-process.ts '{"access":"guest","name":"g1","folder":"…","appends":1000,"valueBytes":0}'
 *
 * It appends to all partitions at once and puts a row for every append. It prints a line of JSON for
 * each append that is durable, its row included, and at the end, by itself or at SIGTERM, a line
 * that says why.
 */
import { join } from 'node:path'
import { openLmdbEventLog } from '../../log/lmdb-event-log.ts'
import { systemClock } from '../../runtime/clock.ts'
import { BackhaulError } from '../../runtime/errors.ts'
import { EMPTY_AGGREGATES } from '../../qoe/merge.ts'
import { openLmdbSpeedStore } from '../../speed/lmdb-speed-store.ts'
import type { MinuteRow } from '../../speed/rows.ts'
import type { Access } from '../owner-row.ts'

export interface StoreProcessOptions {
  readonly access: Access
  readonly name: string
  readonly folder: string
  /** Ends after so many appends to each partition; goes on until it is stopped when 0. */
  readonly appends: number
  /** Bytes of a record beside its text. */
  readonly valueBytes: number
}

/** Printed when the append and its row are durable. */
export interface Written {
  readonly partition: number
  readonly offset: number
  readonly text: string
}

/** Printed last. */
export interface Ended {
  readonly ended: string
}

export const TEST_PARTITIONS = 4
export const TEST_TOPIC = {
  name: 't',
  partitions: TEST_PARTITIONS,
  retentionMs: 86_400_000,
  retentionBytes: 2 ** 40,
}
const MAP_BYTES = 512 * 1024 * 1024
/** A row that all processes write; the highest stamp must stay. */
export const CONTESTED_KEY = '["all"]'

export function testRow(key: string, partition: number, stampUs: number): MinuteRow {
  return {
    view: 'v',
    topicEpoch: 0,
    partition,
    generation: 0,
    cut: 'c',
    key,
    minuteStartMs: 0,
    stampUs,
    lastOffset: stampUs,
    expiresAtMs: 2 ** 47,
    aggregates: EMPTY_AGGREGATES,
  }
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? '') as StoreProcessOptions)

async function run({ access, name, folder, appends, valueBytes }: StoreProcessOptions) {
  const common = { mapBytes: MAP_BYTES, clock: systemClock, access }
  const log = await openLmdbEventLog({ ...common, folder: join(folder, 'log') })
  const speed = await openLmdbSpeedStore({ ...common, folder: join(folder, 'speed') })
  await log.ensureTopics([TEST_TOPIC])
  let stopped = false
  process.once('SIGTERM', () => (stopped = true))

  const writePartition = async (partition: number): Promise<void> => {
    for (let index = 0; !stopped && (appends === 0 || index < appends); index += 1) {
      const text = `${name} ${partition} ${index}`
      const value = Buffer.concat([Buffer.from(`${text}\n`), Buffer.alloc(valueBytes)])
      const [{ baseOffset }] = await Promise.all([
        log.append('t', partition, [{ key: undefined, value, headers: {} }]),
        speed.putMinutes([
          testRow(JSON.stringify([name, `${index}`]), partition, index),
          testRow(CONTESTED_KEY, partition, index),
        ]),
      ])
      print({ partition, offset: baseOffset, text })
    }
  }
  const partitions = Array.from({ length: TEST_PARTITIONS }, (_, partition) => partition)
  const results = await Promise.allSettled(
    partitions.map((partition) =>
      writePartition(partition).catch((error: unknown) => {
        stopped = true
        throw error
      }),
    ),
  )
  await log.close()
  await speed.close()
  const failed = results.find((result) => result.status === 'rejected')
  const reason: unknown = failed?.reason
  print({ ended: reason === undefined ? 'done' : codeOf(reason) })
}

function codeOf(error: unknown): string {
  return error instanceof BackhaulError ? error.code : String(error)
}

function print(line: Written | Ended): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
