/** What a proof is, and what it says. */
import type { Side } from '../compare/side-by-side.ts'
import type { Driver } from '../load/driver-process.ts'
import type { LoadFigures } from '../load/report.ts'
import type { StageCost } from '../profile/profile-load.ts'
import type { HeldStep } from './ceiling.ts'

/**
 * A claim of `correctness` that is broken fails the run. A `floor` that is not reached is written
 * down as not reached. What is only `told` is judged by readers.
 */
export type ClaimKind = 'correctness' | 'floor' | 'told'

export interface Claim {
  readonly kind: ClaimKind
  readonly what: string
  readonly measured: number
  readonly unit: string
  readonly bound?: Bound
  /** What was hoped for beyond the floor. */
  readonly aim?: number
}

export type Bound = { readonly atLeast: number } | { readonly atMost: number }

export interface Proof {
  readonly name: string
  readonly shows: string
  /** How long it takes, about. */
  readonly minutes: number
  run(context: ProofContext): Promise<Measured>
}

export interface ProofContext {
  /** No load is longer: a rehearsal. */
  readonly minutesMax: number
  /** Folder for reports and charts, outside git. */
  readonly folder: string
  said(line: string): void
}

export interface Measured {
  readonly claims: readonly Claim[]
  /** Of a proof that is a load. */
  readonly load?: MeasuredLoad
  /** Of a proof that looks for the highest rate. */
  readonly held?: HeldStep
  /** Of a proof that is a profile; what an event costs at each stage. */
  readonly stages?: readonly StageCost[]
  /** Of a proof that puts programs beside each other. */
  readonly sides?: readonly Side[]
  /** Further numbers, for those who ask why. */
  readonly details?: unknown
}

export interface MeasuredLoad extends LoadFigures {
  readonly eventsPerSecondDue: number
  readonly eventsPerFrame: number
  readonly connections: number
  /** Absent in runs from before there was a choice: k6. */
  readonly driver?: Driver
  readonly ackP50Ms: number
  readonly ackP99Ms: number
}

export function isReached({ measured, bound }: Claim): boolean {
  if (bound === undefined) return true
  return 'atLeast' in bound ? measured >= bound.atLeast : measured <= bound.atMost
}
