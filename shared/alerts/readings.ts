/** What a rule sees of one minute: its metric for every key, and a week before where it asks. */
import { MINUTE_MS, type MinuteAggregates } from '../qoe/aggregates.ts'
import type { Cut } from '../qoe/cuts.ts'
import type { PartitionProgress } from '../speed/generations.ts'
import { mergeMinuteRows, type MergedMinutes } from '../speed/row-merge.ts'
import type { SpeedStore } from '../speed/speed-store.ts'
import { readMetric, type MetricReading } from './rule-metrics.ts'
import type { AlertRule } from './rules.ts'

export const WEEK_MS = 7 * 24 * 60 * MINUTE_MS

export type Readings = ReadonlyMap<string, MetricReading>

export interface RuleReadings {
  readonly now: Readings
  /** Empty for a rule that does not compare with last week. */
  readonly lastWeek: Readings
}

export interface MinuteRange {
  readonly fromMs: number
  readonly toMs: number
}

export interface MinuteSource {
  /** Throws what the store throws. */
  readMinutes(cut: Cut, range: MinuteRange): Promise<MergedMinutes>
}

/** Merged rows of the store. Ranges read once are remembered, so rules of one cut share a read. */
export function speedMinutes(
  options: { readonly speed: SpeedStore; readonly view: string; readonly rowsMax: number },
  progress: PartitionProgress,
): MinuteSource {
  const { speed, view, rowsMax } = options
  const known = new Map<string, Promise<MergedMinutes>>()
  return {
    readMinutes(cut, range) {
      const name = `${cut.id} ${range.fromMs} ${range.toMs}`
      let minutes = known.get(name)
      if (minutes === undefined) {
        minutes = speed
          .readMinutes({ view, cut: cut.id, ...range, limit: rowsMax })
          .then((rows) => mergeMinuteRows(rows, cut.width, progress))
        known.set(name, minutes)
      }
      return minutes
    },
  }
}

export async function readRule(
  rule: AlertRule,
  minuteStartMs: number,
  source: MinuteSource,
): Promise<RuleReadings> {
  const toMs = minuteStartMs + MINUTE_MS
  const range = { fromMs: toMs - rule.windowMinutes * MINUTE_MS, toMs }
  const now = readingsOf(rule, await source.readMinutes(rule.cut, range))
  if (rule.condition.kind !== 'weekChange') return { now, lastWeek: new Map() }
  const before = { fromMs: range.fromMs - WEEK_MS, toMs: toMs - WEEK_MS }
  return { now, lastWeek: readingsOf(rule, await source.readMinutes(rule.cut, before)) }
}

function readingsOf(rule: AlertRule, minutes: MergedMinutes): Readings {
  const byKey = new Map<string, MinuteAggregates[]>()
  for (const key of pinnedKeys(rule)) byKey.set(key, [])
  for (const keys of minutes.values())
    for (const [key, aggregates] of keys) {
      if (!isWatched(rule, key)) continue
      const list = byKey.get(key)
      if (list === undefined) byKey.set(key, [aggregates])
      else list.push(aggregates)
    }
  const readings = new Map<string, MetricReading>()
  for (const [key, list] of byKey) readings.set(key, readMetric(rule.metric, list))
  return readings
}

function isWatched({ cut, where }: AlertRule, key: string): boolean {
  const values = JSON.parse(key) as string[]
  return cut.dimensions.every((dimension, index) => {
    const accepted = where[dimension]
    return accepted === undefined || accepted.includes(values[index] ?? '')
  })
}

/** Keys that a rule watches by name: they are judged also when nothing happens under them. */
function pinnedKeys({ cut, where }: AlertRule): string[] {
  let keys: string[][] = [[]]
  for (const dimension of cut.dimensions) {
    const values = where[dimension]
    if (values === undefined) return []
    keys = keys.flatMap((key) => values.map((value) => [...key, value]))
  }
  return keys.map((key) => JSON.stringify(key))
}
