/** Makes an input of others: a few small changes, now and then a part of another one. */
import type { Random } from '../../shared/runtime/random.ts'
import { CHANGES_MAX, INPUT_MAX_BYTES } from './limits.ts'
import { utf8 } from './target.ts'

export interface Ingredients {
  readonly random: Random
  readonly pool: readonly Uint8Array[]
  readonly words: readonly Uint8Array[]
}

type Change = (bytes: Uint8Array, ingredients: Ingredients) => Uint8Array

/** Bytes at the edges of what parsers tell apart. */
const EDGES = [0x00, 0x0a, 0x20, 0x22, 0x2d, 0x2e, 0x30, 0x39, 0x5b, 0x5c, 0x7b, 0x7f, 0x80, 0xff]
const NUMBERS = [
  '0',
  '-1',
  '-0',
  '1e308',
  '1e-400',
  '4294967296',
  '9007199254740993',
  '99999999999999999999999999',
  '0.1',
].map(utf8)
const DIGIT_RUN = /\d+/g
const REPEATS_MAX = 2_000
const PIECE_MAX_BYTES = 64

const changes: readonly Change[] = [
  (bytes, { random }) => bytes.with(at(bytes, random), random.below(256)),
  (bytes, { random }) => bytes.with(at(bytes, random), pick(EDGES, random)),
  (bytes, { random }) => {
    const index = at(bytes, random)
    return bytes.with(index, (bytes[index] ?? 0) ^ (1 << random.below(8)))
  },
  (bytes, { random }) => insert(bytes, Uint8Array.of(pick(EDGES, random)), random),
  (bytes, { random, words }) =>
    words.length === 0 ? bytes : insert(bytes, pick(words, random), random),
  (bytes, { random }) => {
    const [start, end] = piece(bytes, random)
    return joined(bytes.subarray(0, start), bytes.subarray(end))
  },
  (bytes, { random }) => {
    const [start, end] = piece(bytes, random)
    return insert(bytes, bytes.slice(start, end), random)
  },
  (bytes, { random }) => {
    const [start, end] = piece(bytes, random)
    const times = random.below(REPEATS_MAX)
    const again = Array.from({ length: times }, () => bytes.subarray(start, end))
    return joined(bytes.subarray(0, end), ...again, bytes.subarray(end))
  },
  (bytes, { random }) => bytes.slice(0, at(bytes, random)),
  (bytes, { random }) => {
    const runs = [...Buffer.from(bytes).toString('latin1').matchAll(DIGIT_RUN)]
    if (runs.length === 0) return bytes
    const { index, 0: digits } = pick(runs, random)
    const rest = bytes.subarray(index + digits.length)
    return joined(bytes.subarray(0, index), pick(NUMBERS, random), rest)
  },
  (bytes, { random, pool }) => {
    const other = pick(pool, random)
    const [start, end] = piece(other, random, other.length)
    return joined(bytes.subarray(0, at(bytes, random)), other.subarray(start, end))
  },
]

export function mutate(ingredients: Ingredients): Uint8Array {
  const { random, pool } = ingredients
  let bytes = pick(pool, random)
  const count = 1 + random.below(CHANGES_MAX)
  for (let done = 0; done < count; done += 1) {
    // Most changes want a byte to be there.
    if (bytes.length === 0) bytes = Uint8Array.of(pick(EDGES, random))
    bytes = pick(changes, random)(bytes, ingredients)
    if (bytes.length > INPUT_MAX_BYTES) bytes = bytes.slice(0, INPUT_MAX_BYTES)
  }
  return bytes
}

function pick<Item>(items: readonly Item[], random: Random): Item {
  const item = items[random.below(items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

function at(bytes: Uint8Array, random: Random): number {
  return random.below(bytes.length)
}

function piece(bytes: Uint8Array, random: Random, maxBytes = PIECE_MAX_BYTES): [number, number] {
  const start = random.below(Math.max(1, bytes.length))
  return [start, Math.min(bytes.length, start + 1 + random.below(maxBytes))]
}

function insert(bytes: Uint8Array, inserted: Uint8Array, random: Random): Uint8Array {
  const index = random.below(bytes.length + 1)
  return joined(bytes.subarray(0, index), inserted, bytes.subarray(index))
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
