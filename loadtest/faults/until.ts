import { systemClock } from '../../shared/runtime/clock.ts'

/** For what a fault, or its end, brings about; the machine may be slow. */
const DEADLINE_MS = 90_000
const POLL_MS = 50

/** Waits until `condition` holds; throws with `what`, and what `context` tells, when it never does. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  context: () => string = () => '',
): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + DEADLINE_MS
  while (!(await condition())) {
    if (systemClock.monotonicMs() > deadlineMs)
      throw new Error(`not within ${DEADLINE_MS} ms: ${what}\n${context()}`)
    await systemClock.sleep(POLL_MS)
  }
}
