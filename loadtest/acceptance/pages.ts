/** What the kept runs say, on the pages that readers see: nothing measured is written by hand. */
import type { Side } from '../compare/side-by-side.ts'
import { COMPARED } from './compare-proofs.ts'
import type { HeldStep } from './ceiling.ts'
import type { MeasuredLoad } from './proof.ts'
import { PROFILED_FRAMES, profileName } from './profile-proofs.ts'
import { newestOutcomes, type AcceptanceRun, type KeptOutcome } from './results.ts'
import { claimCells, markdownTable, number, type Column } from './tables.ts'

const NOTHING = 'No run is kept yet: `npm run acceptance` makes one.'

/** `page` with what stands between the markers of `section` replaced. */
export function withSection(page: string, section: string, text: string): string {
  const begin = `<!-- ${section}: from the results that are kept, by npm run docs -->`
  const end = `<!-- end of ${section} -->`
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the page has no section ${JSON.stringify(section)}`)
  return `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`
}

/** The loads, and the highest rates that were held, for the README. */
export function loadTable(kept = newestOutcomes()): string {
  const shown = [...kept].flatMap(([name, { run, outcome }]) => {
    if ('failure' in outcome || outcome.load === undefined) return []
    const { load, held } = outcome
    if (held !== undefined) return [{ run, row: heldRow(load, held) }]
    return /^(steady|connections)-/.test(name) ? [{ run, row: loadRow(load) }] : []
  })
  if (shown.length === 0) return NOTHING
  const columns: Column[] = [
    ['load', 'left'],
    ['ack p50 / p99', 'right'],
    ['gateway', 'right'],
    ['events/s per core of the gateway', 'right'],
  ]
  const table = markdownTable(
    columns,
    shown.map(({ row }) => row),
  )
  return `${table}\n\n${provenance(shown.map(({ run }) => run))}`
}

function loadRow(load: MeasuredLoad): string[] {
  const { eventsPerSecondDue, eventsPerFrame, connections, seconds } = load
  return [
    `${thousands(eventsPerSecondDue)}/s, ${eventsPerFrame} a frame, ${number(connections)} connections, ${seconds} s${sentBy(load)}`,
    `${load.ackP50Ms} / ${load.ackP99Ms} ms`,
    `${load.gatewayCores.toFixed(2)} cores, ${number(load.gatewayMiB)} MiB`,
    thousands(load.eventsPerCoreSecond),
  ]
}

function heldRow(load: MeasuredLoad, held: HeldStep): string[] {
  const { eventsPerSecond, eventsPerCoreSecond, ackP99Ms } = held
  const cores = eventsPerSecond / Math.max(1, eventsPerCoreSecond)
  return [
    `${thousands(eventsPerSecond)}/s, ${load.eventsPerFrame} a frame, the highest rate held${sentBy(load)}`,
    `– / ${ackP99Ms} ms`,
    `${cores.toFixed(2)} cores`,
    thousands(eventsPerCoreSecond),
  ]
}

/** Who sent, where it was not k6. */
function sentBy({ driver = 'k6' }: MeasuredLoad): string {
  return driver === 'k6' ? '' : ', by the plain sender'
}

/** What an event costs the gateway at each stage, parsed and scanned. */
export function stageTable(kept = newestOutcomes()): string {
  const profiles = PROFILED_FRAMES.flatMap((frame) =>
    (['parsed-frames', 'product'] as const).map((variant) => {
      const outcome = kept.get(profileName(frame, variant))
      return { frame, variant, kept: outcome, stages: stagesOf(outcome) }
    }),
  ).filter(({ stages }) => stages.size > 0)
  if (profiles.length === 0) return NOTHING
  const names = [...new Set(profiles.flatMap(({ stages }) => [...stages.keys()]))]
  const columns: Column[] = [
    ['stage', 'left'],
    ...profiles.map(({ frame, variant }): Column => [
      `${frame} a frame: ${variant === 'product' ? 'scanned' : 'parsed'}`,
      'right',
    ]),
  ]
  const rows = names.map((name) => [
    name,
    ...profiles.map(({ stages }) => number(stages.get(name) ?? 0)),
  ])
  rows.push([
    'all',
    ...profiles.map(({ stages }) => number([...stages.values()].reduce((a, b) => a + b, 0))),
  ])
  const runs = profiles.flatMap((profile) => (profile.kept === undefined ? [] : [profile.kept.run]))
  return `${markdownTable(columns, rows)}\n\n${provenance(runs)}`
}

function stagesOf(kept: KeptOutcome | undefined): ReadonlyMap<string, number> {
  if (kept === undefined || 'failure' in kept.outcome) return new Map()
  return new Map(kept.outcome.stages?.map(({ stage, nsPerEvent }) => [stage, nsPerEvent]))
}

/** What each side used for the same work. */
export function sidesTable(kept = newestOutcomes()): string {
  const tables = COMPARED.flatMap(({ name, of }) => {
    const found = kept.get(name)
    if (found === undefined || 'failure' in found.outcome) return []
    const rows = (found.outcome.sides ?? []).map(sideRow)
    const title = `${of[0]?.toUpperCase()}${of.slice(1)}:`
    return [`${title}\n\n${markdownTable(SIDE_COLUMNS, rows)}\n\n${provenance([found.run])}`]
  })
  return tables.length === 0 ? NOTHING : tables.join('\n\n')
}

const SIDE_COLUMNS: readonly Column[] = [
  ['', 'left'],
  ['events/CPU s', 'right'],
  ['CPU', 'right'],
  ['wall', 'right'],
  ['memory, highest', 'right'],
  ['of it not mapped files', 'right'],
  ["broker's CPU", 'right'],
  ['keeps', 'left'],
]

function sideRow(side: Side): string[] {
  return [
    side.name,
    number(side.eventsPerCpuSecond),
    `${number(side.cpuSeconds)} s`,
    `${number(side.wallSeconds)} s`,
    `${number(side.peakMiB)} MiB`,
    `${number(side.ownPeakMiB)} MiB`,
    `${number(side.brokerCpuSeconds)} s`,
    side.keeps,
  ]
}

/** Every claim, with its proof's newest run. */
export function acceptancePage(kept = newestOutcomes()): string {
  const columns: Column[] = [
    ['claim', 'left'],
    ['floor', 'left'],
    ['measured', 'right'],
    ['', 'left'],
  ]
  const parts = [
    '# Acceptance',
    '',
    'The long proofs, each with its newest run. `npm run acceptance` runs them and writes this page from what',
    'it keeps in [loadtest/results](../loadtest/results/); a floor that is not reached stands here as not reached.',
  ]
  if (kept.size === 0) parts.push('', NOTHING)
  for (const [name, { run, outcome }] of kept) {
    parts.push('', `## ${name}`, '', `${outcome.shows[0]?.toUpperCase()}${outcome.shows.slice(1)}.`)
    parts.push('', markdownTable(columns, claimCells(outcome)), '', provenance([run]))
  }
  return `${parts.join('\n')}\n`
}

function provenance(runs: readonly AcceptanceRun[]): string {
  const texts = runs.map(({ startedAt, commit, machine }) => {
    const { cores, cpu, memoryGiB, node } = machine
    const where = `${cores} cores of ${cpu}, ${memoryGiB} GiB, Node ${node}`
    return `Measured on ${startedAt.slice(0, 10)} at commit ${commit}, ${where}.`
  })
  return [...new Set(texts)].join('\n')
}

function thousands(value: number): string {
  return `${number(value / 1_000)}K`
}
