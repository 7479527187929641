/** What `batch run --dry-run` says. */
import type { WarehouseEstimate } from '../../../shared/warehouse/warehouse.ts'
import type { PlannedRange, RunPlan } from '../../dry-run/plan-run.ts'
import { type CommandArguments, usage } from '../arguments.ts'
import { counted } from '../counted.ts'

/** They say what becomes of a run, and there is none. */
const OF_RUNS = ['all', 'shard', 'merge', 'wait', 'settle-late', 'retry-for']

/** Throws `CLI_USAGE_INVALID`. */
export function refuseWithDryRun(given: CommandArguments): void {
  const other = OF_RUNS.find((name) => given.flag(name) || given.text(name) !== undefined)
  if (other !== undefined) throw usage('--dry-run with no option but --accept-loss', `--${other}`)
}

/** Whether a statement of the run would be refused for what it reads. */
export function isTooLarge({ estimate }: RunPlan): boolean {
  return estimate !== undefined && estimate.bytesReadAtOnce > estimate.bytesBilledMax
}

export function planText(plan: RunPlan): string {
  const { run, isBegun, isBusy, records, ranges, days, objects, lastRun } = plan
  if (ranges.length === 0) return 'nothing new since the last run'
  const going = isBegun ? 'would be gone on with: it was cut off, with' : 'would take'
  return [
    `run ${run} ${going} up to ${counted(records, 'record')} of ${counted(ranges.length, 'partition')}`,
    ...ranges.map(rangeText),
    ...(days === undefined
      ? []
      : [
          `  appended from ${days.first} to ${days.last}; loading searches from ${days.searchedFrom} on`,
        ]),
    `  at least ${counted(objects.rawFilesAtLeast, 'raw file')}, and objects in ${objects.folder}, of which ${objects.present} are there`,
    `  ${estimateText(plan.estimate)}`,
    ...(lastRun === undefined
      ? []
      : [
          `  the last run read ${sizeOf(lastRun.bytesRead)} and was billed for ${sizeOf(lastRun.bytesBilled)}`,
        ]),
    ...(isTooLarge(plan)
      ? [
          '  a statement would be refused: raise BIGQUERY_MAXIMUM_MIB_BILLED, or take less at a time',
        ]
      : []),
    ...(isBusy ? ['  another run is under way: this one would be refused'] : []),
    'nothing was written',
  ].join('\n')
}

function rangeText({ topic, partition, first, end }: PlannedRange): string {
  return `  ${topic}/${partition}: offsets ${first} to ${end - 1}`
}

function estimateText(estimate: WarehouseEstimate | undefined): string {
  if (estimate === undefined) return 'tables are files here: nobody bills what is read of them'
  const { statements, bytesRead, bytesReadAtOnce, bytesBilledMax } = estimate
  return `${counted(statements, 'statement')} would read ${sizeOf(bytesRead)} of tables, one of them ${sizeOf(bytesReadAtOnce)}, of at most ${sizeOf(bytesBilledMax)}`
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

function sizeOf(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  const size = bytes / 2 ** (10 * power)
  return `${power === 0 ? size : size.toFixed(1)} ${UNITS[power] ?? ''}`
}
