/** What `batch run` is told about shards. */
import type { Shard } from '../../shard.ts'
import { type CommandArguments, usage } from '../arguments.ts'
import { RUN_WAIT_MINUTES_MAX, SHARDS_MAX, SHARDS_WAIT_MINUTES } from '../limits.ts'

const SHARD = /^(?:(?<index>\d{1,4})\/)?(?<count>\d{1,4})$/
const INDEX = /^\d{1,4}$/
const MINUTE_MS = 60_000

export interface Sharding {
  /** The shard that this process is, if it is one. */
  readonly shard: Shard | undefined
  /** How long it waits for the shards before it merges, ms, if it is the one that does. */
  readonly mergeWithinMs: number | undefined
}

/** Throws `CLI_USAGE_INVALID`. */
export function shardingOf(
  given: CommandArguments,
  environment: Readonly<Record<string, string | undefined>>,
): Sharding {
  const text = given.text('shard')
  const shard = text === undefined ? undefined : shardOf(text, environment)
  if (given.flag('all') && (shard !== undefined || given.flag('merge')))
    throw usage('--all, or --shard and --merge', 'both')
  const minutes = given.count('wait', { max: RUN_WAIT_MINUTES_MAX, default: SHARDS_WAIT_MINUTES })
  // All processes of an indexed job are given the same words: the first of them merges.
  const isMerging = given.flag('merge') && (shard === undefined || shard.index === 0)
  return { shard, mergeWithinMs: isMerging ? minutes * MINUTE_MS : undefined }
}

function shardOf(text: string, environment: Readonly<Record<string, string | undefined>>): Shard {
  const { index, count } = SHARD.exec(text)?.groups ?? {}
  const ofJob = environment['JOB_COMPLETION_INDEX']
  const own = index ?? (ofJob !== undefined && INDEX.test(ofJob) ? ofJob : undefined)
  const shard = { index: Number(own), count: Number(count) }
  if (shard.count >= 1 && shard.count <= SHARDS_MAX && shard.index < shard.count) return shard
  throw usage(
    `--shard I/N with N from 1 to ${SHARDS_MAX} and I from 0 to N - 1, or N with JOB_COMPLETION_INDEX`,
    ofJob === undefined ? text : `${text} and JOB_COMPLETION_INDEX=${ofJob}`,
  )
}
