import { describe, expect, test } from 'vitest'
import type { KeptOutcome } from '../../loadtest/acceptance/results.ts'
import {
  PAGES_OPEN,
  PAGES_PER_CORE,
  PARTITIONS_READ,
  requestsPerCore,
  requestsPerSecond,
  rowsPerCore,
  rowsPerSecond,
} from '../../loadtest/acceptance/store-claims.ts'
import { REQUEST_KINDS } from '../../loadtest/api/request-kinds.ts'
import { EXAMPLE_PRICES, USE } from './assumptions.ts'
import { figuresOf, type Figures } from './figures.ts'
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

const told = (what: string, measured: number) =>
  ({ kind: 'told', what, measured, unit: '' }) as const

function keptRun(name: string, claims: readonly ReturnType<typeof told>[]) {
  const outcome = { name, shows: '', tookSeconds: 60, claims }
  return new Map<string, KeptOutcome>([[name, { run: RUN, outcome }]])
}

test('the processor is extrapolated from the rate of its run', () => {
  const claims = [
    told('events a second and core of the processor', 100_000),
    told('events a second, with brokers and store on the same cores', 50_000),
  ]
  const { processor } = figuresOf(keptRun('processor-speed-10', claims))
  expect(processor).toMatchObject({ value: 100_000, isMeasured: true, measuredAt: 50_000 })
})

test('a processor does what the lower of its runs says', () => {
  const speed = keptRun('processor-speed-10', [
    told('events a second and core of the processor', 100_000),
    told('events a row', 60),
  ])
  const pace = keptRun('pipeline-50', [
    told('events a CPU second of the processor', 70_000),
    told('acknowledged', 50_000),
    told('events a row', 20),
  ])
  const both = figuresOf(new Map([...speed, ...pace]))
  expect(both.processor).toMatchObject({ value: 70_000, measuredAt: 50_000 })
  expect(both.eventsPerRow.value).toBe(20)
  expect(figuresOf(speed).eventsPerRow.value).toBe(60)
})

test('a core of Cassandra takes as many rows as of the dearer kind', () => {
  const claims = [
    told(rowsPerCore('minutes'), 40_000),
    told(rowsPerSecond('minutes'), 50_000),
    told(rowsPerCore('sessions'), 25_000),
    told(rowsPerSecond('sessions'), 20_000),
  ]
  expect(figuresOf(keptRun('cassandra-rows', claims)).cassandraRows).toMatchObject({
    value: 25_000,
    isMeasured: true,
    measuredAt: 20_000,
  })
})

test('Cassandra takes what the dearer of rows and pace does', () => {
  const rows = keptRun('cassandra-rows', [
    told(rowsPerCore('minutes'), 10_000),
    told(rowsPerSecond('minutes'), 50_000),
  ])
  const pipeline = (cores: number, eventsARow: number) =>
    keptRun('pipeline-50', [
      told('acknowledged', 50_000),
      told('Cassandra', cores),
      told('events a row', eventsARow),
    ])
  const coresOf = (cores: number, eventsARow: number) => {
    const all = figuresOf(new Map([...rows, ...pipeline(cores, eventsARow)]))
    const { parts } = sizeOf({ eps: 1_000_000, frame: 10, figures: all, prices: EXAMPLE_PRICES })
    return parts.find(({ name }) => name === 'Cassandra')
  }
  // Three replicas, each core used to 0.6.
  expect(coresOf(0.5, 100)).toMatchObject({ beyondMeasured: 60 })
  expect(coresOf(0.5, 100)?.cores).toBeCloseTo(50)
  expect(coresOf(0.5, 5)?.cores).toBeCloseTo(100)
  expect(coresOf(0.5, 5)).toMatchObject({ beyondMeasured: 12 })
})

describe('serving', () => {
  const claims = [
    told(PAGES_PER_CORE, 100),
    told(PAGES_OPEN, 50),
    told(PARTITIONS_READ, 12),
    ...REQUEST_KINDS.flatMap((kind) => [
      told(requestsPerCore(kind), 1_000),
      told(requestsPerSecond(kind), 1_000),
    ]),
  ]
  const measured = figuresOf(keptRun('serving-queries', claims))
  const servingAt = (eps: number, of = measured) =>
    sizeOf({ eps, frame: 10, figures: of, prices: EXAMPLE_PRICES }).parts.find(
      ({ name }) => name === 'serving',
    )

  test('takes as much as its assumed use does, beyond what was measured of it', () => {
    const { dashboards, liveRequests, historyRequests, sessionRequests } = USE
    const requests = liveRequests.value + historyRequests.value + sessionRequests.value
    const part = servingAt(1)
    expect(part?.cores).toBeCloseTo(
      (dashboards.value / 100 + requests / 1_000) / USE.utilisation.value,
    )
    expect(part).toMatchObject({ beyondMeasured: dashboards.value / 50, isUseAssumed: true })
  })

  test('merges the rows of more partitions where there are more processors', () => {
    expect(servingAt(10_000_000)?.cores).toBeGreaterThan(5 * (servingAt(1)?.cores ?? 0))
  })

  test('says what of it is a guess', () => {
    const cells = (of: Figures) =>
      sizeTable({ rates: [1], frame: 10, figures: of, prices: EXAMPLE_PRICES })
        .split('\n')
        .find((row) => row.startsWith('| serving'))
    expect(cells(measured)).toMatch(/\d \(assumed use, extrapolated ×\d+\)/)
    expect(cells(figures)).toMatch(/\d \(assumed\)/)
    expect(sizingPage(measured)).toContain('serving-queries, 2026-03-01, commit abcdef0')
  })
})
