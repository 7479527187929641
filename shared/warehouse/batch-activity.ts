/** What runs the batch by schedule tells whoever shows it; the control rows say the rest. */
import type { ReconcileSummary } from './reconcile-summary.ts'

export interface BatchActivity {
  readonly isRunning: boolean
  /** When the next run is due, epoch ms; `undefined` while one runs or none is scheduled. */
  readonly nextRunAtMs: number | undefined
  /** Why the last attempt did not complete; `undefined` once one did. */
  readonly failure: BatchFailure | undefined
  /** Verdict of the newest reconciliation. */
  readonly reconcile: ReconcileSummary | undefined
}

export interface BatchFailure {
  readonly code: string
  readonly detail: string
  readonly atMs: number
}
