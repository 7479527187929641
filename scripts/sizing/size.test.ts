import { expect, test } from 'vitest'
import type { KeptOutcome } from '../../loadtest/acceptance/results.ts'
import { EXAMPLE_PRICES } from './assumptions.ts'
import { figuresOf } from './figures.ts'
import { RATES, sizeTable, sizingPage } from './page.ts'
import { sizeOf } from './size.ts'

const RUN = {
  startedAt: '2026-03-01T12:00:00.000Z',
  commit: 'abcdef0',
  machine: { cpu: 'a core', cores: 2, memoryGiB: 24, node: 'v22' },
  outcomes: [],
}
const LOAD = {
  seconds: 60,
  eventsPerSecond: 200_000,
  eventsPerSecondDue: 200_000,
  eventsPerFrame: 10,
  connections: 50,
  gatewayCores: 1,
  gatewayMiB: 300,
  eventsPerCoreSecond: 200_000,
  brokerCores: 0.5,
  ackP50Ms: 5,
  ackP99Ms: 50,
}
const kept = new Map<string, KeptOutcome>([
  [
    'steady-10',
    {
      run: RUN,
      outcome: { name: 'steady-10', shows: '', tookSeconds: 60, claims: [], load: LOAD },
    },
  ],
])
const figures = figuresOf(kept)
const size = (eps: number) => sizeOf({ eps, frame: 10, figures, prices: EXAMPLE_PRICES })
const cores = (eps: number, name: string) =>
  size(eps).parts.find((part) => part.name === name)?.cores ?? 0

test('a figure is taken from the run that is kept, and names it', () => {
  expect(figures.gateway[10]).toMatchObject({
    value: 200_000,
    isMeasured: true,
    source: 'steady-10, 2026-03-01, commit abcdef0',
  })
  expect(figures.broker.value).toBe(400_000)
})

test('what no run has measured is assumed, and says so', () => {
  expect(figures.processor).toMatchObject({
    isMeasured: false,
    source: expect.stringMatching(/^assumed/) as string,
  })
})

test('cores are the rate by what a core does, at the utilisation that is aimed at', () => {
  expect(cores(1_200_000, 'gateway')).toBeCloseTo(10)
  // Each replica is written by a broker.
  expect(cores(1_200_000, 'brokers')).toBeCloseTo(15)
})

test('however little there is to do, a zone may fail', () => {
  expect(cores(1, 'gateway')).toBe(3)
  expect(size(1).nodes).toBe(3)
})

test('ten times the events cost ten times, but for what there is once', () => {
  const variable = (eps: number) =>
    size(eps).monthly - size(eps).costs.cluster - size(eps).costs.nodes
  expect(variable(1_000_000)).toBeCloseTo(10 * variable(100_000))
})

test('connections decide about pods where every player has one', () => {
  const { gatewayPods, connections } = sizeOf({
    eps: 1_000_000,
    frame: 1,
    figures: figuresOf(),
    prices: EXAMPLE_PRICES,
  })
  expect(connections).toBe(5_000_000)
  expect(gatewayPods).toBeGreaterThanOrEqual(250)
})

test('every core count beyond what was measured is labelled', () => {
  const rows = sizeTable({ rates: RATES, frame: 10, figures, prices: EXAMPLE_PRICES }).split('\n')
  const cellsOf = (title: string) =>
    rows
      .find((row) => row.startsWith(`| ${title}`))
      ?.split('|')
      .slice(2, -1)
      .map((cell) => cell.trim())
  expect(cellsOf('gateway, cores')).toEqual([
    '3',
    '3',
    '9 (extrapolated ×5)',
    '84 (extrapolated ×50)',
  ])
  expect(cellsOf('processor, cores')?.every((cell) => cell.endsWith('(assumed)'))).toBe(true)
})

test('the page has a table for every way in', () => {
  expect(sizingPage(figures).match(/10M events\/s/g)).toHaveLength(3)
})

test('the processor is extrapolated from the rate of its run', () => {
  const told = (what: string, measured: number) =>
    ({ kind: 'told', what, measured, unit: '' }) as const
  const claims = [
    told('events a second and core of the processor', 100_000),
    told('events a second, with brokers and store on the same cores', 50_000),
  ]
  const outcome = { name: 'processor-speed-10', shows: '', tookSeconds: 60, claims }
  const { processor } = figuresOf(new Map([['processor-speed-10', { run: RUN, outcome }]]))
  expect(processor).toMatchObject({ value: 100_000, isMeasured: true, measuredAtEps: 50_000 })
})
