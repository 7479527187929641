/** The tables of docs/sizing.md and of `npm run sizing`. */
import { markdownTable, number } from '../../loadtest/acceptance/tables.ts'
import { EXAMPLE_PRICES, PRICES, USE, type Assumption, type Prices } from './assumptions.ts'
import { FRAME_SIZES, type Figure, type Figures, type FrameSize } from './figures.ts'
import { COST_NAMES, sizeOf, type Part, type Size } from './size.ts'

export const RATES = [10_000, 100_000, 1_000_000, 10_000_000]

interface Wanted {
  readonly rates: readonly number[]
  readonly frame: FrameSize
  readonly figures: Figures
  readonly prices: Prices
}

export function figuresTable({ gateway, serving, ...others }: Figures): string {
  const figures: readonly Figure[] = [
    ...FRAME_SIZES.map((frame) => gateway[frame]),
    ...Object.values(others),
    ...Object.values(serving.costs),
  ]
  return markdownTable(
    [
      ['figure', 'left'],
      ['value', 'right'],
      ['from', 'left'],
    ],
    figures.map(({ what, value, unit, source }) => [what, `${number(value)} ${unit}`, source]),
  )
}

/** A column a rate: cores of each part, what it stores, nodes, dollars a month. */
export function sizeTable({ rates, frame, figures, prices }: Wanted): string {
  const sizes = rates.map((eps) => sizeOf({ eps, frame, figures, prices }))
  const row = (title: string, cell: (size: Size) => string) => [title, ...sizes.map(cell)]
  const partRows = (sizes[0]?.parts ?? []).map(({ name }, at) =>
    row(`${name}, cores`, ({ parts }) => coresCell(parts[at])),
  )
  const costRows = (Object.keys(COST_NAMES) as (keyof typeof COST_NAMES)[]).map((name) =>
    row(`${COST_NAMES[name]}, $ a month`, ({ costs }) => number(Math.round(costs[name]))),
  )
  return markdownTable(
    [['', 'left'], ...rates.map((eps) => [`${rateText(eps)} events/s`, 'right'] as const)],
    [
      ...partRows,
      row('gateway, pods', ({ gatewayPods }) => number(gatewayPods)),
      row('connections', ({ connections }) => (connections === 0 ? 'few' : number(connections))),
      row('nodes of 8 cores', ({ nodes }) => number(nodes)),
      row('disks of brokers, TB', ({ logGb }) => terabytes(logGb)),
      row('disks of Cassandra, TB', ({ rowGb }) => terabytes(rowGb)),
      row('objects, TB', ({ objectGb }) => terabytes(objectGb)),
      ...costRows,
      row('all, $ a month', ({ monthly }) => number(Math.round(monthly))),
    ],
  )
}

/** What is beyond the rate of its measurement says how far, and what rests on a guess says that. */
function coresCell(part: Part | undefined): string {
  if (part === undefined) return ''
  const { cores, beyondMeasured, isUseAssumed = false } = part
  const text = number(Math.ceil(cores))
  if (beyondMeasured === undefined) return `${text} (assumed)`
  const notes = [
    ...(isUseAssumed ? ['assumed use'] : []),
    ...(beyondMeasured > 1 ? [`extrapolated ×${number(beyondMeasured)}`] : []),
  ]
  return notes.length === 0 ? text : `${text} (${notes.join(', ')})`
}

function terabytes(gigabytes: number): string {
  return number(gigabytes / 1_000)
}

export function rateText(eps: number): string {
  if (eps >= 1e6) return `${number(eps / 1e6)}M`
  return eps >= 1e3 ? `${number(eps / 1e3)}K` : number(eps)
}

function assumptionsTable(assumptions: Readonly<Record<string, Assumption>>): string {
  return markdownTable(
    [
      ['assumed', 'right'],
      ['', 'left'],
    ],
    // As it is: rounded, a price of a tenth of a cent would be another.
    Object.values(assumptions).map(({ value, unit, what }) => [
      `${value.toLocaleString('en-US', { maximumFractionDigits: 6 })} ${unit}`,
      what,
    ]),
  )
}

export function sizingPage(figures: Figures): string {
  const table = (frame: FrameSize) =>
    sizeTable({ rates: RATES, frame, figures, prices: EXAMPLE_PRICES })
  return `# Sizing

How many cores, disks and dollars a month a rate of events takes, computed by \`npm run sizing\` from what the runs that are kept have
measured of one core ([acceptance](acceptance.md), [performance](performance.md)) and from assumptions about use and prices. This page is
written by \`npm run docs\` and changes with the next run that is kept.

**How to read it.** Nothing here was measured on a cluster. A figure was measured on one machine, at one rate, and is multiplied: what is
beyond that rate is called _extrapolated_, with how many times beyond; what no run has measured is called _assumed_. Proportion is a
good guess for parts that share nothing (gateways, processors by partition, batch by shard) and a worse one for brokers and Cassandra.
Who looks at the numbers does not grow with the events: what serving is asked is _assumed use_, below; what its questions cost
Cassandra is in no figure.

## What a core does

${figuresTable(figures)}

## Pools and feeds: 10 events a frame

${table(10)}

## Relays: 100 events a frame

${table(100)}

## Players that are connected themselves: 1 event a frame

Here connections decide: of each, memory; of each frame, the CPU time of the gateway.

${table(1)}

## What is assumed of use

${assumptionsTable(USE)}

## What is assumed of prices

${assumptionsTable(PRICES)}

These prices are examples, of the order of list prices of us-central1 without commitments. They were checked against no price list:
put your own in their place before a decision.

## For your own numbers

<!-- run: standalone -->

\`\`\`sh
npm run sizing -- --eps 250000 --events-per-frame 10
npm run sizing -- --eps 250000 --prices prices.json
\`\`\`

\`prices.json\` has any of ${Object.keys(PRICES)
    .map((name) => `\`${name}\``)
    .join(', ')}. The values of the chart that go with a size are in
[\`helm/backhaul/ci/production-values.yaml\`](../helm/backhaul/ci/production-values.yaml): partitions first, because their number is the most
processors there can ever be.
`
}
