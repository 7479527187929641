/**
 * Distinct viewers: HyperLogLog with 2^12 registers over viewer pseudonyms, which are digests
 * already. Flajolet et al., "HyperLogLog: the analysis of a near-optimal cardinality estimation
 * algorithm" (2007), with its linear counting for small numbers. With 52 bits of rank no correction
 * for large numbers is needed; the standard error is 1.04 / √4096 = 1.6 %.
 */
import type { SparseRegisters } from './aggregates.ts'
import { mergeSparse } from './sparse.ts'

export const REGISTERS = 4_096
/** Rank of a pseudonym whose 52 rank bits are all zero. */
export const RANK_MAX = 53

const HIGH_BITS = 20
const LOW_BITS = 32
const ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)
const LINEAR_COUNTING_UP_TO = 2.5 * REGISTERS

/**
 * Where a pseudonym (hex digits, at least 16) counts: the register is its digits 1–3, the rank one
 * more than the leading zero bits of its digits 4–16.
 */
export function registerOf(pseudonym: string): { register: number; rank: number } {
  const register = Number.parseInt(pseudonym.slice(0, 3), 16)
  const high = Number.parseInt(pseudonym.slice(3, 8), 16)
  const low = Number.parseInt(pseudonym.slice(8, 16), 16)
  const zeroBits =
    high === 0 ? HIGH_BITS + Math.clz32(low) : Math.clz32(high) - (LOW_BITS - HIGH_BITS)
  return { register, rank: zeroBits + 1 }
}

/** Maximum per register. */
export function mergeRegisters(list: Iterable<SparseRegisters>): SparseRegisters {
  return mergeSparse(list, Math.max)
}

/** Estimated number of distinct pseudonyms, a whole number. */
export function estimateDistinct(sparse: SparseRegisters): number {
  const zeroRegisters = REGISTERS - sparse.length
  const inverseSum = sparse.reduce((sum, [, rank]) => sum + 2 ** -rank, zeroRegisters)
  const raw = (ALPHA * REGISTERS * REGISTERS) / inverseSum
  if (raw > LINEAR_COUNTING_UP_TO || zeroRegisters === 0) return Math.round(raw)
  return Math.round(REGISTERS * Math.log(REGISTERS / zeroRegisters))
}
