/** `npm run sizing`: what a rate of events takes, by what was measured and what is assumed. */
import { parseArgs } from 'node:util'
import { EXAMPLE_PRICES } from './sizing/assumptions.ts'
import { figuresOf, FRAME_SIZES, type FrameSize } from './sizing/figures.ts'
import { figuresTable, RATES, sizeTable } from './sizing/page.ts'
import { readPrices } from './sizing/prices.ts'

const HELP = `npm run sizing -- [options]

  --eps N                events a second; may be repeated (${RATES.join(', ')})
  --events-per-frame N   ${FRAME_SIZES.join(', ')} (10)
  --prices FILE          JSON of ${Object.keys(EXAMPLE_PRICES).join(', ')}
  --help                 this text`

function frameOf(text: string): FrameSize {
  const found = FRAME_SIZES.find((size) => String(size) === text)
  if (found === undefined)
    throw new TypeError(
      `--events-per-frame: expected one of ${FRAME_SIZES.join(', ')}, received ${text}`,
    )
  return found
}

function rateOf(text: string): number {
  const rate = Number(text)
  if (!/^\d+$/.test(text) || rate < 1)
    throw new TypeError(`--eps: expected a whole number from 1, received ${text}`)
  return rate
}

function main(): void {
  const { values } = parseArgs({
    options: {
      eps: { type: 'string', multiple: true },
      'events-per-frame': { type: 'string', default: '10' },
      prices: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) return console.log(HELP)
  const figures = figuresOf()
  const rates = values.eps?.map(rateOf) ?? RATES
  const frame = frameOf(values['events-per-frame'])
  const prices = values.prices === undefined ? EXAMPLE_PRICES : readPrices(values.prices)
  console.log(`${figuresTable(figures)}\n\n${sizeTable({ rates, frame, figures, prices })}`)
}

try {
  main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
