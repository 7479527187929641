/** What the tests of the facts do with a group of logs; each returns its differences, one a line. */
import { allTables, tables } from '../../shared/warehouse/tables.ts'
import type { Random } from '../../shared/runtime/random.ts'
import { compareHistoryFacts } from './compare-history.ts'
import type { Defect } from './facts-defects.ts'
import { FactsRun } from './facts-run.ts'
import { compareFacts, type LogGroup, oracleOf } from './facts-versus-oracle.ts'
import { historyOf } from './history-reference.ts'

/** The live view is what SQL computes without the exceptions; the history what it computes with all. */
export async function checkGroup(group: LogGroup): Promise<string[]> {
  const oracle = oracleOf(group)
  const run = await FactsRun.open(group.limits)
  try {
    await run.load(group.logs)
    const explained = await run.explained(oracle.exceptions, { bucketCount: 2 })
    await run.computeHistory()
    const history = await run.readHistory()
    return [
      ...compareFacts(explained, oracle, group),
      ...compareHistoryFacts(history, historyOf(group)),
    ]
  } finally {
    await run.close()
  }
}

/** What differs with each defect in the SQL. */
export async function checkDefects(
  group: LogGroup,
  defects: readonly Defect[],
): Promise<{ readonly name: string; readonly differences: readonly string[] }[]> {
  const oracle = oracleOf(group)
  const run = await FactsRun.open(group.limits)
  try {
    await run.load(group.logs)
    const found: { name: string; differences: string[] }[] = []
    for (const { name, text, instead } of defects) {
      let replaced = 0
      const mutate = (sql: string) => {
        replaced += sql.includes(text) ? 1 : 0
        return sql.replaceAll(text, instead)
      }
      const facts = await run.explained(oracle.exceptions, { mutate })
      if (replaced === 0) throw new Error(`no step has the text “${text}”`)
      found.push({ name, differences: compareFacts(facts, oracle, group) })
    }
    return found
  } finally {
    await run.close()
  }
}

/** Whether the tables are the same after several runs, cut anywhere, as after one. */
export async function checkCuts(
  group: LogGroup,
  { random, runs }: { random: Random; runs: number },
): Promise<string[]> {
  const cut = await FactsRun.open(group.limits)
  const whole = await FactsRun.open(group.limits)
  try {
    const bounds = group.logs.map(({ records }) => {
      const inner = Array.from({ length: runs - 1 }, () => random.below(records.length + 1))
      return [0, ...inner.toSorted((a, b) => a - b), records.length]
    })
    for (let index = 0; index < runs; index++) {
      await cut.load(
        group.logs.map(({ partition, records }, log) => ({
          partition,
          records: records.slice(bounds[log]?.[index], bounds[log]?.[index + 1]),
        })),
      )
      await cut.computeHistory(1 + random.below(3))
    }
    await whole.load(group.logs)
    await whole.computeHistory()
    return await compareTables(cut, whole)
  } finally {
    await cut.close()
    await whole.close()
  }
}

async function compareTables(left: FactsRun, right: FactsRun): Promise<string[]> {
  const compared = new Set([
    tables.events,
    tables.eventCopies,
    tables.sessions,
    tables.sessionMinutes,
    tables.qoeMinute,
  ])
  const differences: string[] = []
  for (const table of allTables) {
    if (!compared.has(table)) continue
    const rows = await left.readTable(table)
    const expected = await right.readTable(table)
    const index = expected.findIndex((row, at) => row !== rows[at])
    if (rows.length !== expected.length || index !== -1) {
      differences.push(
        `${table.name}: ${rows.length} rows, expected ${expected.length}; first at ${index}: ${rows[index]}, expected ${expected[index]}`,
      )
    }
  }
  return differences
}
