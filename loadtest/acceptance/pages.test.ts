import { expect, test } from 'vitest'
import { parseAcceptanceCommand } from './command-line.ts'
import { acceptancePage, loadTable, sidesTable, withSection } from './pages.ts'
import type { Claim, Proof } from './proof.ts'
import { isBroken, type AcceptanceRun, type KeptOutcome, type Outcome } from './results.ts'

const run: AcceptanceRun = {
  startedAt: '2026-11-26T12:00:00.000Z',
  commit: 'abc1234',
  machine: { cpu: 'a processor', cores: 2, memoryGiB: 24, node: 'v22' },
  outcomes: [],
}
const missing: Claim = {
  kind: 'correctness',
  what: 'acknowledged and not in Kafka',
  measured: 0,
  unit: 'events',
  bound: { atMost: 0 },
}
const slow: Claim = {
  kind: 'floor',
  what: 'ack p99',
  measured: 130,
  unit: 'ms',
  bound: { atMost: 100 },
}
const steady: Outcome = {
  name: 'steady-100',
  shows: '200K/s',
  tookSeconds: 340,
  claims: [missing, slow],
  load: {
    seconds: 300,
    eventsPerSecond: 199_900,
    eventsPerSecondDue: 200_000,
    eventsPerFrame: 100,
    connections: 50,
    ackP50Ms: 9,
    ackP99Ms: 130,
    gatewayCores: 0.36,
    eventsPerCoreSecond: 557_000,
    gatewayMiB: 380,
    brokerCores: 0.3,
  },
}

function kept(...outcomes: readonly Outcome[]): ReadonlyMap<string, KeptOutcome> {
  return new Map(outcomes.map((outcome) => [outcome.name, { run, outcome }]))
}

test('a floor that is not reached is told as that, and breaks nothing', () => {
  expect(acceptancePage(kept(steady))).toMatch(/ack p99 +\| ≤ 100 +\| +130 ms \| NOT REACHED/)
  expect(isBroken(steady)).toBe(false)
})

test('an acknowledged event that is missing breaks the run, and so does a proof without a verdict', () => {
  expect(isBroken({ ...steady, claims: [{ ...missing, measured: 1 }] })).toBe(true)
  expect(isBroken({ name: 'steady-100', shows: '', failure: 'no broker' })).toBe(true)
})

test('the table of loads names the commit and the machine', () => {
  const table = loadTable(kept(steady))
  expect(table).toContain('| 200K/s, 100 a frame, 50 connections, 300 s |    9 / 130 ms |')
  expect(table).toContain('2026-11-26 at commit abc1234, 2 cores of a processor, 24 GiB, Node v22')
})

test('programs that did the same work stand beside each other', () => {
  const used = {
    cpuSeconds: 20,
    wallSeconds: 31,
    peakMiB: 900,
    ownPeakMiB: 700,
    brokerCpuSeconds: 4,
  }
  const side = { ...used, name: 'a program', keeps: 'its rows', eventsPerCpuSecond: 300_000 }
  const compared: Outcome = {
    name: 'side-by-side-100',
    shows: 'two programs',
    tookSeconds: 200,
    claims: [],
    sides: [side, { ...side, name: 'another', eventsPerCpuSecond: 40_000 }],
  }
  const table = sidesTable(kept(compared))
  expect(table).toMatch(/^Frames of k6, 100 events each:/)
  expect(table).toMatch(
    /\| a program \| +300,000 \| +20 s \| +31 s \| +900 MiB \| +700 MiB \| +4 s \|/,
  )
  expect(table).toMatch(/\| another +\| +40,000 \|/)
})

test('without a run the pages say so', () => {
  expect(sidesTable(kept())).toContain('No run is kept yet')
  expect(loadTable(kept())).toContain('No run is kept yet')
  expect(acceptancePage(kept())).toContain('No run is kept yet')
})

test('a section is replaced between its markers, again and again the same', () => {
  const page =
    'before\n<!-- load: from the results that are kept, by npm run docs -->\nold\n<!-- end of load -->\nafter\n'
  const once = withSection(page, 'load', 'new')
  expect(once).toContain('\n\nnew\n\n')
  expect(once).not.toContain('old')
  expect(withSection(once, 'load', 'new')).toBe(once)
  expect(() => withSection(page, 'stages', '')).toThrow('no section "stages"')
})

test('a run takes the proofs that are named, and refuses names that it does not know', () => {
  const known = ['one', 'two', 'three'].map((name) => ({ name }) as Proof)
  const chosen = (...args: string[]) =>
    parseAcceptanceCommand(args, known).proofs.map(({ name }) => name)
  expect(chosen()).toEqual(['one', 'two', 'three'])
  expect(chosen('--only', 'three,one')).toEqual(['one', 'three'])
  expect(chosen('--except', 'two')).toEqual(['one', 'three'])
  expect(() => chosen('--only', 'four')).toThrow('there is no proof "four"')
  expect(() => chosen('--minutes', '0')).toThrow('--minutes is a number above 0')
})
