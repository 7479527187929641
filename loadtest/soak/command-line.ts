/** Reads `npm run soak [-- options]`. */
import { parseArgs } from 'node:util'
import type { SoakOptions } from './run-soak.ts'

export type SoakCommand = Omit<SoakOptions, 'said'>

const DEFAULTS = { minutes: 30, eventsPerSecond: 400 }
/** C7, on two cores that carry everything. */
const RECOVERY_MAX_MS = 90_000
const MINUTES_MAX = 24 * 60
/** More than so many a second one machine of two cores does not carry beside the faults. */
const EVENTS_PER_SECOND_MAX = 2_000
const SEED_MAX = 2 ** 32 - 1

export const USAGE = `usage: npm run soak -- [--minutes N] [--seed N] [--brokers 1|3] [--eps N]`

/** Throws a TypeError that says what is wrong; without a seed it is `anySeed`. */
export function parseSoakCommand(args: readonly string[], anySeed: number): SoakCommand {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: { minutes: text, seed: text, brokers: text, eps: text },
  })
  const brokers = values.brokers ?? '1'
  if (brokers !== '1' && brokers !== '3')
    throw new TypeError(`--brokers is 1 or 3, received ${brokers}`)
  const seed = Number(values.seed ?? anySeed)
  if (!Number.isInteger(seed) || seed < 0 || seed > SEED_MAX)
    throw new TypeError(`--seed is an integer from 0 to ${SEED_MAX}, received ${values.seed}`)
  return {
    minutes: numberOf('minutes', values.minutes ?? `${DEFAULTS.minutes}`, MINUTES_MAX),
    eventsPerSecond: numberOf(
      'eps',
      values.eps ?? `${DEFAULTS.eventsPerSecond}`,
      EVENTS_PER_SECOND_MAX,
    ),
    seed,
    brokers: brokers === '1' ? 1 : 3,
    recoveryMaxMs: RECOVERY_MAX_MS,
  }
}

function numberOf(name: string, text: string, max: number): number {
  const value = Number(text)
  if (!(value > 0 && value <= max))
    throw new TypeError(`--${name} is a number above 0 and up to ${max}, received ${text}`)
  return value
}
