import type { ManualClock } from '../../shared/runtime/clock.ts'

/** Lets promises that are due settle. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

/** Moves time in small steps, so that what is scheduled on the way falls due in the same pass. */
export async function pass(clock: ManualClock, byMs: number): Promise<void> {
  const stepMs = byMs > 5_000 ? 10 : 1
  for (let left = byMs; left > 0; left -= stepMs) {
    await clock.advance(Math.min(stepMs, left))
    await settle()
  }
}
