/**
 * `npm run acceptance [-- --list | --only NAME,… | --minutes N]`: the long proofs, one after another,
 * on a machine that has nothing else to do. Prints a table, keeps JSON with commit and machine in
 * `loadtest/results/`, and makes the pages that stand on it anew. A floor that is not reached is
 * written as not reached; the exit code is 1 when a claim of correctness is broken.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../shared/runtime/clock.ts'
import { parseAcceptanceCommand } from './acceptance/command-line.ts'
import type { Proof } from './acceptance/proof.ts'
import { PROOFS } from './acceptance/proofs.ts'
import { isBroken, REHEARSALS, writeRun, type Outcome } from './acceptance/results.ts'
import { claimRows } from './acceptance/tables.ts'
import { circumstances, isClean } from './bench/results.ts'

const ROOT = join(import.meta.dirname, '..')
const MINUTE_MS = 60_000

async function main(): Promise<boolean> {
  const { proofs, isList, minutesMax } = parseAcceptanceCommand(process.argv.slice(2), PROOFS)
  const minutes = proofs.reduce((sum, proof) => sum + Math.min(proof.minutes, minutesMax + 1), 0)
  console.log(`${proofs.length} proofs, some ${Math.ceil(minutes)} minutes`)
  for (const { name, minutes, shows } of proofs)
    if (isList) console.log(`  ${name.padEnd(24)} ${minutes.toFixed(1).padStart(4)} min  ${shows}`)
  if (isList) return true
  const isKept = minutesMax === Infinity
  if (isKept && !isClean())
    throw new Error('the tree is changed: commit first, or rehearse with --minutes N')
  const begun = { startedAt: new Date(systemClock.nowMs()).toISOString(), ...circumstances() }
  mkdirSync(REHEARSALS, { recursive: true })
  const outcomes: Outcome[] = []
  for (const proof of proofs) {
    const outcome = await outcomeOf(proof, minutesMax)
    outcomes.push(outcome)
    const path = writeRun({ ...begun, outcomes }, isKept)
    console.log(`${claimRows([outcome]).join('\n')}\n  written to ${path}\n`)
  }
  console.log(claimRows(outcomes).join('\n'))
  if (isKept) writePages()
  return !outcomes.some(isBroken)
}

async function outcomeOf(proof: Proof, minutesMax: number): Promise<Outcome> {
  const { name, shows } = proof
  console.log(`${name}: ${shows}, some ${proof.minutes.toFixed(1)} minutes`)
  const startedMs = systemClock.monotonicMs()
  try {
    const said = (line: string) => console.log(`  ${line}`)
    const measured = await proof.run({ minutesMax, folder: REHEARSALS, said })
    const tookSeconds = Math.round((systemClock.monotonicMs() - startedMs) / 1_000)
    return { name, shows, tookSeconds, ...measured }
  } catch (error) {
    // Where the repository lies is nobody's business in a file that is kept.
    const failure = String(error instanceof Error ? error.message : error).replaceAll(ROOT, '.')
    return { name, shows, failure }
  }
}

function writePages(): void {
  const script = join(ROOT, 'scripts', 'generate-docs.ts')
  execFileSync(process.execPath, [script], { stdio: 'inherit', timeout: MINUTE_MS })
}

// Exits instead of being ended, so that what it started ends with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
main().then(
  (passed) => {
    if (!passed) process.exitCode = 1
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  },
)
