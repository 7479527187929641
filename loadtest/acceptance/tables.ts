/** Claims as lines of a terminal and as tables of Markdown. */
import { isReached, type Bound, type Claim } from './proof.ts'
import type { Outcome } from './results.ts'

export type Column = readonly [title: string, alignment: 'left' | 'right']

/** One line a claim: proof, floor, measured, reached or not. */
export function claimRows(outcomes: readonly Outcome[]): string[] {
  const rows = outcomes.flatMap((outcome) =>
    claimCells(outcome).map((cells) => [`  ${outcome.name}`, ...cells]),
  )
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  )
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** What, floor, measured, verdict. */
export function claimCells(outcome: Outcome): string[][] {
  if ('failure' in outcome) return [[outcome.failure.split('\n')[0] ?? '', '', '', 'FAILED']]
  return outcome.claims.map((claim) => [
    claim.what,
    boundText(claim),
    `${number(claim.measured)} ${claim.unit}`.trim(),
    verdict(claim),
  ])
}

function verdict(claim: Claim): string {
  if (claim.kind === 'told') return ''
  if (isReached(claim)) return claim.kind === 'correctness' ? 'holds' : 'reached'
  return claim.kind === 'correctness' ? 'BROKEN' : 'NOT REACHED'
}

function boundText({ bound, aim }: Claim): string {
  if (bound === undefined) return ''
  const hoped = aim === undefined ? '' : `, aim ${number(aim)}`
  return `${limitText(bound)}${hoped}`
}

function limitText(bound: Bound): string {
  return 'atLeast' in bound ? `≥ ${number(bound.atLeast)}` : `≤ ${number(bound.atMost)}`
}

export function number(value: number): string {
  const digits = Math.abs(value) >= 10 ? 0 : 2
  return value.toLocaleString('en-US', { maximumFractionDigits: digits })
}

/** A table as the formatter leaves it. */
export function markdownTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const widths = columns.map(([title], at) =>
    Math.max(3, title.length, ...rows.map((row) => row[at]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const padded = (cells: readonly string[]) =>
    line(
      columns.map(([, alignment], at) => {
        const cell = cells[at] ?? ''
        const width = widths[at] ?? 0
        return alignment === 'right' ? cell.padStart(width) : cell.padEnd(width)
      }),
    )
  const rule = line(
    columns.map(([, alignment], at) => {
      const width = widths[at] ?? 0
      return alignment === 'right' ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)
    }),
  )
  const titles = padded(columns.map(([title]) => title))
  return [titles, rule, ...rows.map(padded)].join('\n')
}
