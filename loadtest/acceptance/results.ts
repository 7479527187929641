/** Runs of the acceptance as they are kept: one file a run, written again after each proof. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Circumstances } from '../bench/results.ts'
import { isReached, type Claim, type Measured } from './proof.ts'

export type Outcome = { readonly name: string; readonly shows: string } & Verdict
type Verdict =
  | ({ readonly tookSeconds: number } & Measured)
  /** It did not come to numbers. */
  | { readonly failure: string }

export interface AcceptanceRun extends Circumstances {
  readonly startedAt: string
  readonly outcomes: readonly Outcome[]
}

/** An outcome with the run it is of. */
export interface KeptOutcome {
  readonly run: AcceptanceRun
  readonly outcome: Outcome
}

const ROOT = join(import.meta.dirname, '..', '..')
const KEPT = join(ROOT, 'loadtest', 'results')
export const REHEARSALS = join(ROOT, 'test-output', 'acceptance')
const SUFFIX = '-acceptance.json'

/** Writes the run so far; returns the path. */
export function writeRun(run: AcceptanceRun, isKept: boolean): string {
  const folder = isKept ? KEPT : REHEARSALS
  mkdirSync(folder, { recursive: true })
  const minute = run.startedAt.slice(0, 16).replaceAll(/[-:]/g, '')
  const path = join(folder, `${minute}${SUFFIX}`)
  writeFileSync(path, `${JSON.stringify(run, undefined, 2)}\n`)
  return path
}

/** The newest outcome of each proof, in the order in which they were last run. */
export function newestOutcomes(folder = KEPT): ReadonlyMap<string, KeptOutcome> {
  const names = existsSync(folder) ? readdirSync(folder) : []
  const files = names.filter((name) => name.endsWith(SUFFIX))
  const newest = new Map<string, KeptOutcome>()
  for (const file of files.toSorted()) {
    const run = JSON.parse(readFileSync(join(folder, file), 'utf8')) as AcceptanceRun
    for (const outcome of run.outcomes) newest.set(outcome.name, { run, outcome })
  }
  return newest
}

/** Whether something that must never be was seen, or could not be looked for. */
export function isBroken(outcome: Outcome): boolean {
  return 'failure' in outcome || outcome.claims.some(breaks)
}

function breaks(claim: Claim): boolean {
  return claim.kind === 'correctness' && !isReached(claim)
}
