/** What the runner tells k6, and what k6 says each second. */
import type { LoadShape } from './frames.ts'
import type { Stage } from './schedule.ts'

export interface LoadSettings {
  readonly url: string
  readonly connections: number
  readonly shape: LoadShape
  readonly stages: readonly Stage[]
  /** Sessions alive at a time. */
  readonly places: number
  /** Latencies before this are of opening connections and not of the steady load. */
  readonly warmUpMs: number
  /** When the load ends even if something was not acknowledged, s after its start. */
  readonly secondsMax: number
  /** Moments at which all connections break at once, ms after the start. */
  readonly stormsAtMs: readonly number[]
  readonly ackP99MaxMs?: number
  readonly summaryPath: string
}

export interface SecondOfLoad {
  readonly atMs: number
  /** Events of the frames that fell due in this second. */
  readonly events: number
  readonly acknowledged: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  /** So far. */
  readonly slowed: number
  readonly reconnects: number
}
