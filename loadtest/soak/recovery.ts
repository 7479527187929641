/** C7: after a fault everything is as before it, by itself, within a bound. */
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { SoakAudience } from './audience.ts'
import { PARTITIONS, type Stage } from './stage.ts'

/** Normal is to be behind by no more than what comes in so long. */
const BEHIND_MS = 3_000
const POLL_MS = 250
const SECOND_MS = 1_000

export interface Recovery {
  readonly recovered: boolean
  readonly tookMs: number
  /** What was seen last. */
  readonly state: string
}

export interface RecoveryBound {
  /** Of the load. */
  readonly eventsPerSecond: number
  /** A member that died is waited for, and what came meanwhile is worked off. */
  readonly recoveryMaxMs: number
}

export async function awaitRecovery(
  { stage, audience }: { readonly stage: Stage; readonly audience: SoakAudience },
  { eventsPerSecond, recoveryMaxMs }: RecoveryBound,
): Promise<Recovery> {
  const behindMax = (eventsPerSecond * BEHIND_MS) / SECOND_MS
  const healedMs = clock.monotonicMs()
  for (;;) {
    const { isWorking, lagRecords, state } = await look(stage)
    const { eventsQueued } = audience.metrics
    const tookMs = Math.round(clock.monotonicMs() - healedMs)
    const recovered = isWorking && lagRecords <= behindMax && eventsQueued <= behindMax
    if (recovered || tookMs > recoveryMaxMs)
      return { recovered, tookMs, state: `${eventsQueued} events at clients; ${state}` }
    await clock.sleep(POLL_MS)
  }
}

async function look({ processors }: Stage) {
  const reports = (await Promise.all(processors.map((processor) => processor.reports()))).flat()
  const working = reports.filter(
    ({ state, pausedReason }) => state === 'running' && pausedReason === undefined,
  )
  const lagRecords = working.reduce((sum, report) => sum + report.lagRecords, 0)
  const state = reports
    .map(({ partition, state: is, lagRecords: lag, pausedReason = '' }) => {
      return `partition ${partition} ${is} ${pausedReason} ${lag} behind`
    })
    .join(', ')
  const isWorking =
    reports.length === PARTITIONS &&
    new Set(working.map((one) => one.partition)).size === PARTITIONS
  return { isWorking, lagRecords, state }
}
