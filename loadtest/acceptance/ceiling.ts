/** Finds the highest step of a `ceiling` load that was held. */
import { SCENARIOS } from '../load/scenarios.ts'
import { timed, type LoadReport, type TimedSecond } from '../load/report.ts'

export interface HeldStep {
  /** Acknowledged. */
  readonly eventsPerSecond: number
  readonly eventsPerCoreSecond: number
  /** Of the step's worst second. */
  readonly ackP99Ms: number
  /** When it was measured; absent when nothing was held. */
  readonly span?: Span
}

/** Epoch ms. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** What is acknowledged may lag behind what falls due by this share of a step. */
const LAG_SHARE_MAX = 0.03
/** A queue that waits longer than this is growing, whatever the counts of a step say. */
const ACK_P99_MAX_MS = 1_000
/** The steps before still echo in the beginning of one, and the first step starts cold. */
const SETTLING_SHARE = 1 / 3

/** With `isFresh`, what stands behind the log must keep up with the step as well. */
export function highestStep(
  report: Pick<LoadReport, 'command' | 'seconds'>,
  isFresh: (span: Span) => boolean = () => true,
): HeldStep {
  const { command, seconds } = report
  const stages = SCENARIOS[command.name]?.stages(command.options) ?? []
  let highest: HeldStep = { eventsPerSecond: 0, eventsPerCoreSecond: 0, ackP99Ms: 0 }
  // The first line tells of the load's first second.
  let fromMs = (seconds[0]?.atMs ?? 0) - 1_000
  const lines = timed(seconds)
  for (const stage of stages) {
    const lengthMs = stage.seconds * 1_000
    const settledMs = fromMs + lengthMs * SETTLING_SHARE
    const untilMs = fromMs + lengthMs
    const step = lines.filter(({ atMs }) => atMs > settledMs && atMs <= untilMs)
    // A step that only hiccuped is not the ceiling; one that falls behind leaves the next no chance.
    const span = { fromMs: settledMs, toMs: untilMs }
    if (isHeld(step, stage.eventsPerSecond) && isFresh(span)) highest = { ...stepOf(step), span }
    fromMs = untilMs
  }
  return highest
}

function isHeld(step: readonly TimedSecond[], dueEventsPerSecond: number): boolean {
  if (step.length === 0) return false
  const { eventsPerSecond, ackP99Ms } = stepOf(step)
  return eventsPerSecond >= dueEventsPerSecond * (1 - LAG_SHARE_MAX) && ackP99Ms <= ACK_P99_MAX_MS
}

function stepOf(step: readonly TimedSecond[]): HeldStep {
  const sum = (of: (second: TimedSecond) => number) =>
    step.reduce((total, second) => total + of(second), 0)
  const acknowledged = sum(({ acknowledged }) => acknowledged)
  const lengthSeconds = sum((second) => second.lengthSeconds)
  const coreSeconds = sum((second) => second.gatewayCores * second.lengthSeconds)
  return {
    eventsPerSecond: Math.round(acknowledged / lengthSeconds),
    eventsPerCoreSecond: Math.round(acknowledged / Math.max(0.01, coreSeconds)),
    ackP99Ms: Math.max(...step.map(({ ackP99Ms }) => ackP99Ms)),
  }
}
