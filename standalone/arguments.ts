/** The flags of `npm start`: each stands for a setting, for one start. */
import { parseArgs } from 'node:util'
import { standaloneErrors } from './errors.ts'

export const USAGE = `npm start -- [--batch-every 1m]

  --batch-every  how often the batch runs, e.g. 30s, 1m, 6h, 1d; 0: never by itself (BATCH_EVERY_MS)
  --help         this text`

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Settings that the flags give; `undefined` when help is asked for. Throws `STANDALONE_FLAG_INVALID`. */
export function settingsOfFlags(
  args: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const { help, 'batch-every': every } = parse(args)
  if (help === true) return undefined
  return every === undefined ? {} : { BATCH_EVERY_MS: `${durationMs('--batch-every', every)}` }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: { 'batch-every': { type: 'string' }, help: { type: 'boolean' } },
    }).values
  } catch (cause) {
    throw standaloneErrors.create('STANDALONE_FLAG_INVALID', {
      expected: 'flags of npm start -- --help',
      received: args.join(' '),
      cause,
    })
  }
}

function durationMs(flag: string, text: string): number {
  if (text === '0') return 0
  const match = /^(\d{1,9})([smhd])$/.exec(text)
  const unitMs = UNITS_MS[match?.[2] ?? '']
  if (match === null || unitMs === undefined)
    throw standaloneErrors.create('STANDALONE_FLAG_INVALID', {
      expected: `${flag} to be a number and a unit (s, m, h or d) such as 1m`,
      received: text,
    })
  return Number(match[1]) * unitMs
}
