/**
 * Aggregates as canonical JSON: equal values have equal text. Fields stand in the order of
 * `COUNTER_NAMES`, then the structures under their own names; what is zero or empty is left out.
 *
 *   {"sessions":2,"plays":1,"bitsPlayed":"48000000","startupHistogram":[[134,1]],
 *    "concurrentPlays":[0,1,1,1,1,0],"viewerRegisters":[[17,3]]}
 */
import {
  COUNTER_NAMES,
  INSTANTS_PER_MINUTE,
  type CounterName,
  type MinuteAggregates,
} from './aggregates.ts'
import { bucketOf, HISTOGRAM_VALUE_MAX } from './histogram.ts'
import { RANK_MAX, REGISTERS } from './registers.ts'

export function encodeAggregates(aggregates: MinuteAggregates): string {
  const { bitsPlayed } = aggregates
  const fields: Record<string, unknown> = {}
  for (const name of COUNTER_NAMES) if (aggregates[name] !== 0) fields[name] = aggregates[name]
  if (bitsPlayed !== 0n) fields['bitsPlayed'] = bitsPlayed.toString()
  for (const name of STRUCTURE_NAMES)
    if (!isEmpty(aggregates[name])) fields[name] = aggregates[name]
  return JSON.stringify(fields)
}

/** Reads what `encodeAggregates` wrote; throws a plain Error on anything else. */
export function decodeAggregates(text: string): MinuteAggregates {
  const fields = parseObject(text)
  for (const name of Object.keys(fields))
    if (!FIELD_NAMES.has(name)) throw new Error(`aggregates have no field ${name.slice(0, 64)}`)
  const counters = {} as Record<CounterName, number>
  for (const name of COUNTER_NAMES) counters[name] = readCounter(name, fields[name])
  return {
    ...counters,
    bitsPlayed: readBits(fields['bitsPlayed']),
    startupHistogram: readPairs('startupHistogram', fields['startupHistogram'], {
      keyMax: BUCKET_MAX,
      valueMax: Number.MAX_SAFE_INTEGER,
    }),
    concurrentPlays: readInstants('concurrentPlays', fields['concurrentPlays']),
    concurrentViewers: readInstants('concurrentViewers', fields['concurrentViewers']),
    viewerRegisters: readPairs('viewerRegisters', fields['viewerRegisters'], {
      keyMax: REGISTERS - 1,
      valueMax: RANK_MAX,
    }),
  }
}

const STRUCTURE_NAMES = [
  'startupHistogram',
  'concurrentPlays',
  'concurrentViewers',
  'viewerRegisters',
] as const
type StructureName = (typeof STRUCTURE_NAMES)[number]

const FIELD_NAMES: ReadonlySet<string> = new Set([
  ...COUNTER_NAMES,
  'bitsPlayed',
  ...STRUCTURE_NAMES,
])
const BUCKET_MAX = bucketOf(HISTOGRAM_VALUE_MAX)
const POSITIVE_DECIMAL = /^[1-9][0-9]{0,39}$/

function isEmpty(structure: MinuteAggregates[StructureName]): boolean {
  return structure.every((entry) => entry === 0)
}

function parseObject(text: string): Record<string, unknown> {
  const value: unknown = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('aggregates must be a JSON object')
  return value as Record<string, unknown>
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('aggregates must be JSON')
  }
}

function readCounter(name: string, value: unknown): number {
  if (value === undefined) return 0
  if (!isWhole(value, 1, Number.MAX_SAFE_INTEGER))
    throw new Error(`${name} must be a positive whole number`)
  return value
}

function readBits(value: unknown): bigint {
  if (value === undefined) return 0n
  if (typeof value !== 'string' || !POSITIVE_DECIMAL.test(value))
    throw new Error('bitsPlayed must be a positive decimal number in a string')
  return BigInt(value)
}

function readInstants(name: StructureName, value: unknown): readonly number[] {
  if (value === undefined) return Array.from({ length: INSTANTS_PER_MINUTE }, () => 0)
  const counts: unknown[] = Array.isArray(value) ? value : []
  const isSound =
    counts.length === INSTANTS_PER_MINUTE &&
    counts.every((count) => isWhole(count, 0, Number.MAX_SAFE_INTEGER)) &&
    counts.some((count) => count !== 0)
  if (!isSound) throw new Error(`${name} must be ${INSTANTS_PER_MINUTE} counts, not all zero`)
  return counts as number[]
}

function readPairs(
  name: StructureName,
  value: unknown,
  { keyMax, valueMax }: { keyMax: number; valueMax: number },
): readonly (readonly [number, number])[] {
  if (value === undefined) return []
  const pairs: unknown[] = Array.isArray(value) ? value : []
  let previous = -1
  for (const pair of pairs) {
    const [key, count]: unknown[] = Array.isArray(pair) && pair.length === 2 ? pair : []
    if (!isWhole(key, previous + 1, keyMax) || !isWhole(count, 1, valueMax))
      throw new Error(`${name} must be pairs in ascending order, within its bounds`)
    previous = key
  }
  if (pairs.length === 0) throw new Error(`${name} must hold at least one pair`)
  return pairs as (readonly [number, number])[]
}

function isWhole(value: unknown, min: number, max: number): value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || Object.is(value, -0)) return false
  return value >= min && value <= max
}
