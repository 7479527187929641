/**
 * A soak: faults of a seed under load, one after another, then everything healed and one verdict. The
 * faults wait for conditions, so that a slow machine sees fewer of them, and none that it did not recover from.
 */
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { StopStack } from '../../shared/runtime/lifecycle.ts'
import { until } from '../faults/until.ts'
import { SoakAudience } from './audience.ts'
import { BatchRuns } from './batch-runs.ts'
import { inject, type Scene } from './inject.ts'
import { awaitRecovery, type RecoveryBound } from './recovery.ts'
import { describeFault, drawSchedule, type Fault } from './schedule.ts'
import { Stage } from './stage.ts'
import { claim, endLoad, judge, unbalanced, type Verdict } from './verdict.ts'
import { Watchers } from './watchers.ts'

export interface SoakOptions extends RecoveryBound {
  /** Of load and faults; starting and judging come on top. */
  readonly minutes: number
  readonly seed: number
  readonly brokers: 1 | 3
  said(line: string): void
}

/** A fault that was brought about. */
export interface Endured extends Fault {
  readonly atSeconds: number
  /** What it befell, and how. */
  readonly did: string
  /** From its end until all was as before. */
  readonly recoveredMs: number
}

export interface SoakReport extends Verdict {
  readonly minutes: number
  readonly seed: number
  readonly brokers: number
  readonly eventsPerSecond: number
  readonly faults: readonly Endured[]
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
/** Batches of a short soak, and of a long one. */
const BATCH_EVERY_MS = { least: 40_000, most: 3 * MINUTE_MS }
const BATCHES = 6
/** The load is there before the first fault. */
const CALM_EVENTS = 500

export function isKept({ claims, faults }: SoakReport): boolean {
  return faults.length > 0 && claims.every(({ broken }) => broken === 0)
}

/** Rejects when something of the stage did not start or stop; what is against a claim is in the report. */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const { minutes, seed, brokers, said } = options
  const schedule = drawSchedule(seed, minutes * MINUTE_MS)
  said(`seed ${seed}: the schedule, of which ${minutes} minutes see the beginning`)
  for (const fault of schedule) said(`  ${describeFault(fault)}`)
  const stack = new StopStack()
  try {
    const stage = await Stage.start(brokers, stack)
    try {
      const report = await onStage(stage, { options, schedule, stack })
      if (!isKept(report)) said(stage.tails())
      return report
    } catch (error) {
      said(stage.tails())
      throw error
    }
  } finally {
    await stack.stop()
  }
}

interface SoakRun {
  readonly options: SoakOptions
  readonly schedule: readonly Fault[]
  readonly stack: StopStack
}

async function onStage(stage: Stage, { options, schedule, stack }: SoakRun): Promise<SoakReport> {
  const { minutes, seed, brokers, eventsPerSecond, said } = options
  const forMs = minutes * MINUTE_MS
  const audience = new SoakAudience({ url: stage.gatewayUrl, seed, eventsPerSecond })
  stack.add('audience', () => audience.close())
  audience.start()
  const batch = new BatchRuns(stage.machine, clamped(forMs / BATCHES, BATCH_EVERY_MS))
  stack.add('batch', () => batch.stop())
  const watchers = await Watchers.start(stage, audience, forMs)
  stack.add('watchers', async () => void (await watchers.stop()))
  const scene: Scene = { stage, audience, batch }
  said('everything runs')
  const endured = await endure(scene, { options, schedule })
  said('the load ends; everything is judged')
  const flushed = await endLoad(scene)
  const last = await awaitRecovery(scene, options)
  await batch.stop()
  const seen = await watchers.stop()
  const verdict = await judge(scene, { seen, unbalancedBefore: endured.unbalanced })
  const late = [
    ...endured.late,
    ...(last.recovered ? [] : [`after the load: ${last.state}`]),
    ...(flushed ? [] : ['not everything was acknowledged']),
  ]
  const recovered = claim('C7', `not as before within ${options.recoveryMaxMs / SECOND_MS} s`, late)
  const claims = [...verdict.claims, recovered]
  const { faults } = endured
  return { minutes, seed, brokers, eventsPerSecond, faults, numbers: verdict.numbers, claims }
}

/** One fault after another, until the time is over or there are no more. */
async function endure(scene: Scene, { options, schedule }: Omit<SoakRun, 'stack'>) {
  const { minutes, said } = options
  const startMs = clock.monotonicMs()
  const secondsNow = () => Math.round((clock.monotonicMs() - startMs) / SECOND_MS)
  const faults: Endured[] = []
  const late: string[] = []
  const against: string[] = []
  await until('the load has begun', () => scene.audience.metrics.eventsAcknowledged > CALM_EVENTS)
  for (const fault of schedule) {
    await clock.sleep(fault.afterMs)
    if (clock.monotonicMs() - startMs > minutes * MINUTE_MS) break
    const atSeconds = secondsNow()
    const did = await inject(scene, fault)
    const { recovered, tookMs, state } = await awaitRecovery(scene, options)
    faults.push({ ...fault, atSeconds, did, recoveredMs: tookMs })
    const isTold = recovered ? `as before ${tookMs} ms after its end` : `NOT AS BEFORE: ${state}`
    said(`${atSeconds} s: ${fault.kind}, ${did}, ${fault.lastsMs} ms; ${isTold}`)
    if (!recovered) late.push(`${fault.kind} at ${atSeconds} s: ${state}`)
    against.push(...(await unbalanced(scene.stage.gateways)))
  }
  const leftMs = minutes * MINUTE_MS - (clock.monotonicMs() - startMs)
  if (leftMs > 0) await clock.sleep(leftMs)
  return { faults, late, unbalanced: against }
}

function clamped(value: number, { least, most }: { least: number; most: number }): number {
  return Math.min(most, Math.max(least, value))
}
