import type { FuzzReport } from './run.ts'

/** One line of one target. */
export function reportText(report: FuzzReport): string {
  const { target, inputs, verdicts, slowestMs, regressions, keptAt } = report
  const told =
    `${target}: ${inputs} inputs (${regressions} kept), ${verdicts} verdicts, ` +
    `slowest ${slowestMs.toFixed(1)} ms`
  return keptAt === undefined ? told : `${told}; BROKEN by ${keptAt}`
}
