/** Reads `npm run loadtest -- SCENARIO [options]`. */
import { parseArgs } from 'node:util'
import { VARIANTS, type Variant } from '../variants/variants.ts'
import { DRIVERS, type Driver } from './driver-process.ts'
import { SCENARIOS, type LoadOptions, type Scenario } from './scenarios.ts'

export interface LoadCommand {
  readonly name: string
  readonly scenario: Scenario
  readonly options: LoadOptions
  readonly partitions: number
  readonly processes: number
  readonly kafkaClient: 'platformatic' | 'kafkajs'
  /** Who sends. */
  readonly driver: Driver
  /** Which gateway: the product, or one with a part of it replaced to measure that part. */
  readonly variant: Variant
  /** Folder for JSON and chart; chosen by whether the tree is clean unless given. */
  readonly results?: string
}

const NUMBERS = { eps: 1e7, minutes: 24 * 60, frame: 1_000, connections: 50_000 } as const
const PARTITIONS = 12
const CLIENTS = ['platformatic', 'kafkajs'] as const

export function usage(): string {
  const scenarios = Object.entries(SCENARIOS).map(
    ([name, { description, defaults }]) =>
      `  ${name.padEnd(16)} ${description} (--eps ${defaults.eventsPerSecond} --minutes ${defaults.minutes} ` +
      `--frame ${defaults.eventsPerFrame} --connections ${defaults.connections})`,
  )
  return [
    'usage: npm run loadtest -- SCENARIO [--eps N] [--minutes N] [--frame 1|10|100] [--connections N]',
    '                                    [--partitions N] [--processes N] [--client platformatic|kafkajs]',
    `                                    [--driver ${DRIVERS.join('|')}]`,
    `                                    [--variant ${Object.keys(VARIANTS).join('|')}] [--results DIR]`,
    ...scenarios,
  ].join('\n')
}

/** Throws an Error that begins with what is wrong and ends with the usage. */
export function parseLoadCommand(args: readonly string[]): LoadCommand {
  try {
    return parse(args)
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${usage()}`, { cause: error })
  }
}

function parse(args: readonly string[]): LoadCommand {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      eps: text,
      minutes: text,
      frame: text,
      connections: text,
      partitions: text,
      processes: text,
      client: text,
      driver: text,
      variant: text,
      results: text,
    },
  })
  const name = positionals[0] ?? ''
  const scenario = SCENARIOS[name]
  if (scenario === undefined || positionals.length > 1)
    throw new Error(`there is no scenario ${JSON.stringify(positionals.join(' '))}`)
  const { defaults } = scenario
  const client = CLIENTS.find((known) => known === (values.client ?? CLIENTS[0]))
  if (client === undefined) throw new Error(`--client is one of ${CLIENTS.join(', ')}`)
  const driver = DRIVERS.find((known) => known === (values.driver ?? DRIVERS[0]))
  if (driver === undefined) throw new Error(`--driver is one of ${DRIVERS.join(', ')}`)
  const variant = values.variant ?? 'product'
  if (!isVariant(variant))
    throw new Error(`--variant is one of ${Object.keys(VARIANTS).join(', ')}`)
  return {
    name,
    scenario,
    options: {
      eventsPerSecond: numberOf('eps', values.eps, defaults.eventsPerSecond, NUMBERS.eps),
      minutes: numberOf('minutes', values.minutes, defaults.minutes, NUMBERS.minutes),
      eventsPerFrame: numberOf('frame', values.frame, defaults.eventsPerFrame, NUMBERS.frame),
      connections: numberOf(
        'connections',
        values.connections,
        defaults.connections,
        NUMBERS.connections,
      ),
    },
    partitions: numberOf('partitions', values.partitions, PARTITIONS, 200),
    processes: numberOf('processes', values.processes, 1, 16),
    kafkaClient: client,
    driver,
    variant,
    ...(values.results === undefined ? {} : { results: values.results }),
  }
}

function isVariant(name: string): name is Variant {
  return Object.hasOwn(VARIANTS, name)
}

function numberOf(name: string, text: string | undefined, otherwise: number, max: number): number {
  const value = text === undefined ? otherwise : Number(text)
  if (!(value > 0 && value <= max)) throw new Error(`--${name} is a number up to ${max}`)
  return value
}
