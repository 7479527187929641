import { expect, test } from 'vitest'
import { CommandArguments } from '../arguments.ts'
import { batchRun } from './batch-run.ts'
import { shardingOf } from './run-shards.ts'

const MINUTE_MS = 60_000

function sharding(line: string, environment: Record<string, string> = {}) {
  const given = CommandArguments.parse(line.split(' '), batchRun)
  return shardingOf(given, environment)
}

test('a shard is told by itself, or by the job that it is of', () => {
  expect(sharding('--shard 2/4').shard).toEqual({ index: 2, count: 4 })
  expect(sharding('--shard 4', { JOB_COMPLETION_INDEX: '3' }).shard).toEqual({ index: 3, count: 4 })
  expect(sharding('--shard 0/4', { JOB_COMPLETION_INDEX: '3' }).shard?.index).toBe(0)
  expect(sharding('--all').shard).toBeUndefined()
})

test('of the shards the first one merges, and without shards whoever is told to', () => {
  expect(sharding('--shard 0/4 --merge').mergeWithinMs).toBe(60 * MINUTE_MS)
  expect(sharding('--shard 1/4 --merge').mergeWithinMs).toBeUndefined()
  expect(sharding('--shard 0/4').mergeWithinMs).toBeUndefined()
  expect(sharding('--merge --wait 5').mergeWithinMs).toBe(5 * MINUTE_MS)
})

test.each([
  '--shard 4/4',
  '--shard 0/0',
  '--shard a/4',
  '--shard -1/4',
  '--shard 4',
  '--shard 1/2000',
])('%s is refused, and so is --all beside shards', (line) => {
  expect(() => sharding(line)).toThrow('CLI_USAGE_INVALID')
  expect(() => sharding('--all --merge')).toThrow('CLI_USAGE_INVALID')
})

test('an index that is none of the job is refused with it', () => {
  expect(() => sharding('--shard 2', { JOB_COMPLETION_INDEX: '2' })).toThrow(
    'JOB_COMPLETION_INDEX=2',
  )
})
