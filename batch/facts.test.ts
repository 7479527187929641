import { readdirSync, readFileSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import { parseHandWorked } from '../loadtest/oracle/hand-worked.ts'
import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { FactsRun } from './testing/facts-run.ts'
import {
  adversarialGroups,
  compareFacts,
  type LogGroup,
  oracleOf,
} from './testing/facts-versus-oracle.ts'
import { DEFECTS } from './testing/facts-defects.ts'
import { borderLog } from './testing/border-log.ts'
import { checkCuts, checkDefects, checkGroup } from './testing/facts-suites.ts'

const TIMEOUT_MS = 120_000
const SEEDS = { from: 0, to: 40 }
const RECORDS = 50
/** The simulation sees all of them. */
const SOME_DEFECTS = DEFECTS.filter(({ name }) => /stall|idle/.test(name))

test(
  'the hand-worked sessions are to the integer what the oracle says of them',
  async () => {
    const cases = parseHandWorked(
      readFileSync(new URL('../docs/hand-worked-sessions.md', import.meta.url), 'utf8'),
    )
    const group: LogGroup = {
      limits: DEFAULT_FOLD_LIMITS,
      logs: cases.map(({ records }, partition) => ({ partition, records })),
    }
    const oracle = oracleOf(group)
    expect(oracle.sessions.length).toBeGreaterThan(cases.length)
    const run = await FactsRun.open(group.limits)
    try {
      await run.load(group.logs)
      const facts = await run.explained(oracle.exceptions)
      expect(compareFacts(facts, oracle, group)).toEqual([])
    } finally {
      await run.close()
    }
  },
  TIMEOUT_MS,
)

test(
  'start-up times and viewers on the borders get the bucket and register they should',
  async () => {
    const limits = { ...DEFAULT_FOLD_LIMITS, allowedLatenessMs: 1e9 }
    const logs = [{ partition: 0, records: borderLog(20) }]
    expect(await checkGroup({ limits, logs })).toEqual([])
  },
  TIMEOUT_MS,
)

describe.each(adversarialGroups(SEEDS, RECORDS).slice(0, 2))(
  'adversarial logs under $limits',
  (group) => {
    test(
      'agree with the oracle without their exceptions, and with its history',
      async () => {
        expect(await checkGroup(group)).toEqual([])
      },
      TIMEOUT_MS,
    )
  },
)

test(
  'the tables are the same after several runs, cut anywhere, as after one',
  async () => {
    const [group] = adversarialGroups({ from: 500, to: 530 }, RECORDS)
    if (group === undefined) throw new Error('no logs')
    expect(await checkCuts(group, { random: seededRandom(7), runs: 2 })).toEqual([])
  },
  TIMEOUT_MS,
)

test(
  'a run that is repeated leaves the tables as they are',
  async () => {
    const [group] = adversarialGroups({ from: 600, to: 620 }, RECORDS)
    if (group === undefined) throw new Error('no logs')
    const run = await FactsRun.open(group.limits)
    try {
      await run.load(group.logs)
      await run.computeHistory()
      const before = await run.readTable(tables.qoeMinute)
      const sessions = await run.readTable(tables.sessions)
      await run.repeat(group.logs)
      await run.computeHistory()
      expect(await run.readTable(tables.qoeMinute)).toEqual(before)
      expect(await run.readTable(tables.sessions)).toEqual(sessions)
    } finally {
      await run.close()
    }
  },
  TIMEOUT_MS,
)

test(
  'a run that is repeated closes again what it closed by its watermark alone',
  async () => {
    const [group] = adversarialGroups({ from: 600, to: 620 }, RECORDS)
    if (group === undefined) throw new Error('no logs')
    const run = await FactsRun.open(group.limits)
    try {
      await run.load(group.logs)
      await run.computeHistory()
      const ticks = group.logs.map(({ partition, records }) => {
        const { offset = 0, loggedAtMs = 0 } = records.at(-1) ?? {}
        const tick = { offset: offset + 1, loggedAtMs: loggedAtMs + group.limits.sessionKeepMs }
        return { partition, records: [{ kind: 'tick' as const, ...tick }] }
      })
      await run.load(ticks)
      const replaced = await run.computeHistory()
      expect(replaced.sessionDates).not.toEqual([])
      await run.repeat(ticks)
      expect(await run.computeHistory()).toEqual(replaced)
    } finally {
      await run.close()
    }
  },
  TIMEOUT_MS,
)

test.each(SOME_DEFECTS)(
  'a defect shows: $name',
  async (defect) => {
    const [group] = adversarialGroups({ from: 0, to: 40 }, RECORDS)
    if (group === undefined) throw new Error('no logs')
    const [found] = await checkDefects(group, [defect])
    expect(found?.differences).not.toEqual([])
  },
  TIMEOUT_MS,
)

test('the SQL side runs no code of the fold: of its folder it has names of aggregates, and limits', () => {
  const reached = modulesFrom(new URL('./fact-step.ts', import.meta.url))
  const ofFold = [...reached].flatMap((path) => path.split('/shared/qoe/')[1] ?? [])
  expect(ofFold.toSorted()).toEqual(['aggregates.ts', 'fold.ts'])
})

/** Paths of the modules of ours that are run when a module is: types are imported by `import type`. */
function modulesFrom(url: URL, reached = new Set<string>()): ReadonlySet<string> {
  if (reached.has(url.pathname)) return reached
  reached.add(url.pathname)
  const text = readFileSync(url, 'utf8')
  for (const [, names = '', from = ''] of text.matchAll(
    /^(?:import|export)\s+(?!type\b)([^;'"]*?)\s+from '(\.[^']+)'/gm,
  ))
    if (/[\w*]/.test(names.replaceAll(/\btype \w+/g, ''))) modulesFrom(new URL(from, url), reached)
  return reached
}

test('every file of SQL is a step that is run', () => {
  const source = ['./facts.ts', './hold-back.ts', './load-copies.ts']
    .map((file) => readFileSync(new URL(file, import.meta.url), 'utf8'))
    .join('\n')
  for (const folder of ['facts', 'load']) {
    const files = readdirSync(new URL(`./sql/${folder}`, import.meta.url))
    for (const file of files) expect(source).toMatch(new RegExp(`['/]${file.slice(0, -4)}'`))
  }
})
