import type { Clock } from '../shared/runtime/clock.ts'
import { servingErrors } from './errors.ts'

/** `work`, or `SERVING_TIMEOUT` when it takes longer. */
export function withinTime<Value>(
  work: Promise<Value>,
  clock: Clock,
  timeoutMs: number,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () =>
      reject(
        servingErrors.create('SERVING_TIMEOUT', {
          expected: `an answer within ${timeoutMs} ms`,
          received: 'none',
        }),
      ),
    )
    work.then(resolve, reject).finally(cancel)
  })
}
