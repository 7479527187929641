/** How what is under way on BigQuery is given up: nobody waits for it, and nothing more is asked. */
import { warehouseErrors } from './warehouse-errors.ts'

/** Resolves as the action does, unless the warehouse or session closes before. */
export async function unlessClosed<Result>(
  signal: AbortSignal,
  action: () => Promise<Result>,
): Promise<Result> {
  assertOpen(signal)
  const closed = Promise.withResolvers<never>()
  const giveUp = () => closed.reject(warehouseErrors.create('WAREHOUSE_CLOSED'))
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    const result = await Promise.race([action(), closed.promise])
    assertOpen(signal)
    return result
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

export function assertOpen(signal: AbortSignal): void {
  if (signal.aborted) throw warehouseErrors.create('WAREHOUSE_CLOSED')
}
