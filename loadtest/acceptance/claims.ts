/** Claims that many proofs make. */
import type { Claim } from './proof.ts'

/** Of what must never be seen, how often it was. */
export function none(what: string, measured: number): Claim {
  return { kind: 'correctness', what, measured, unit: '', bound: { atMost: 0 } }
}

/** Something that readers judge. */
export function told(what: string, measured: number): Claim {
  return { kind: 'told', what, measured, unit: '' }
}
