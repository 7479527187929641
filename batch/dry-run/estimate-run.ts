/**
 * What the statements of a run would read: its own steps, from loading on, over a warehouse that only
 * estimates. What they ask of staged rows, which there are none of, is answered by the log: the days on
 * which the records were appended stand for those on which they arrived. Sessions that began on earlier
 * days make a run read more, back to the first day that it searches.
 */
import { assert } from '../../shared/runtime/errors.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import type {
  EstimatedSession,
  KnownColumns,
  Warehouse,
  WarehouseEstimate,
} from '../../shared/warehouse/warehouse.ts'
import { type Control, dateOf, watermarksAtCut } from '../control.ts'
import type { Cut } from '../cut.ts'
import { computeFacts } from '../fact-step.ts'
import { dayBefore } from '../facts.ts'
import { jobsOf, load } from '../load.ts'
import type { Manifest } from '../manifest.ts'
import { checkQuality } from '../quality.ts'
import { NO_COUNTS } from '../raw-line.ts'
import type { BatchParts } from '../run.ts'
import type { PlannedRange } from './plan-run.ts'

const DAY_MS = 24 * 60 * 60_000

export interface RunToEstimate {
  readonly cut: Cut
  readonly control: Control
  /** At least one. */
  readonly ranges: readonly PlannedRange[]
  /** Whether the tables are there that statements would name. */
  readonly hasTables: boolean
}

/** `undefined` where nobody bills. */
export async function estimateRun(
  parts: BatchParts,
  { cut, control, ranges, hasTables }: RunToEstimate,
): Promise<WarehouseEstimate | undefined> {
  const { warehouse: asked, config, limits, cuts, telemetry } = parts
  if (asked.openEstimate === undefined) return undefined
  const warehouse = new EstimatingWarehouse(asked, knownOf(ranges, limits))
  // What the first run makes is empty when it reads it: asking for one session tells the bound.
  if (!hasTables) await (await warehouse.open()).close()
  else {
    const { run, cutAtMs: heldAtMs } = cut
    const manifest = manifestOf(cut, ranges)
    const watermarks = watermarksAtCut(control, manifest)
    const jobs = jobsOf(run)
    const assertMayGoOn = () => undefined
    const context = { warehouse, failpoints: noFailpoints, telemetry, limits, assertMayGoOn }
    const { dates } = await load(context, { run, files: [], jobs, heldAtMs })
    const facts = { warehouse, config, limits, cuts }
    const { sessionDates } = await computeFacts(facts, { run, dates, watermarks, jobs })
    await checkQuality({ warehouse, config, telemetry }, { cut, manifest, dates, sessionDates })
  }
  return warehouse.estimate
}

/** Opens sessions that estimate, and adds up what they were asked. */
class EstimatingWarehouse implements Pick<Warehouse, 'open' | 'ensureTables' | 'close'> {
  readonly #asked: Warehouse
  readonly #known: KnownColumns
  readonly #opened: EstimatedSession[] = []

  constructor(asked: Warehouse, known: KnownColumns) {
    this.#asked = asked
    this.#known = known
  }

  get estimate(): WarehouseEstimate | undefined {
    return this.#opened
      .map(({ estimate }) => estimate)
      .reduce<WarehouseEstimate | undefined>(
        (sum, one) =>
          sum === undefined
            ? one
            : {
                statements: sum.statements + one.statements,
                bytesRead: sum.bytesRead + one.bytesRead,
                bytesReadAtOnce: Math.max(sum.bytesReadAtOnce, one.bytesReadAtOnce),
                bytesBilledMax: one.bytesBilledMax,
              },
        undefined,
      )
  }

  ensureTables(): Promise<void> {
    return Promise.resolve()
  }

  async open() {
    const opened = await this.#asked.openEstimate?.(this.#known)
    assert(opened !== undefined, 'a warehouse that estimates')
    this.#opened.push(opened)
    return opened.session
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** What a step asks of its rows before it goes on, by the columns that it asks for. */
function knownOf(
  ranges: readonly PlannedRange[],
  { sessionTimeoutMs, sessionKeepMs }: BatchParts['limits'],
): KnownColumns {
  const firstMs = Math.min(...ranges.map(({ firstLoggedAtMs }) => firstLoggedAtMs))
  const lastMs = Math.max(...ranges.map(({ lastLoggedAtMs }) => lastLoggedAtMs))
  const days = daysBetween(firstMs, lastMs)
  return {
    date: days,
    received_date: days,
    logged_date: days,
    from_date: [dayBefore(dateOf(firstMs), sessionTimeoutMs + sessionKeepMs)],
    first_logged_at_ms: [firstMs],
    first_offset: [Math.min(...ranges.map(({ first }) => first))],
    last_offset: [Math.max(...ranges.map(({ end }) => end - 1))],
  }
}

function daysBetween(firstMs: number, lastMs: number): string[] {
  const days: string[] = []
  for (let ms = Date.parse(dateOf(firstMs)); ms <= lastMs; ms += DAY_MS) days.push(dateOf(ms))
  return days
}

/** The manifest that the run would have, as far as statements are told of it. */
function manifestOf(
  { run, outOfOrdernessMs, leftOut }: Cut,
  ranges: readonly PlannedRange[],
): Manifest {
  return {
    format: 1,
    run,
    ranges: ranges.map(({ firstLoggedAtMs: _first, lastLoggedAtMs: loggedAtMaxMs, ...range }) => ({
      ...range,
      loggedAtMaxMs,
      watermarkMs: loggedAtMaxMs - outOfOrdernessMs,
    })),
    files: ranges.map(
      ({ topic, partition, first, end, firstLoggedAtMs, lastLoggedAtMs: loggedAtMaxMs }) => ({
        name: '',
        topic,
        partition,
        first,
        last: end - 1,
        sizeBytes: 0,
        sha256: '',
        textBytes: 0,
        loggedAtMinMs: firstLoggedAtMs,
        loggedAtMaxMs,
        counts: NO_COUNTS,
      }),
    ),
    leftOut,
    givenUp: [],
  }
}
