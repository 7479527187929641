/** Reads `npm run acceptance [-- options]`. */
import { parseArgs } from 'node:util'
import type { Proof } from './proof.ts'

export interface AcceptanceCommand {
  readonly proofs: readonly Proof[]
  readonly isList: boolean
  /** Of each load; infinite in a run that counts. */
  readonly minutesMax: number
}

const USAGE = `usage: npm run acceptance -- [--list] [--only NAME,…] [--except NAME,…] [--minutes N]
  --minutes N  no load is longer: a rehearsal, of which nothing is kept`

export function parseAcceptanceCommand(
  args: readonly string[],
  known: readonly Proof[],
): AcceptanceCommand {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: { list: { type: 'boolean' }, only: text, except: text, minutes: text },
  })
  const only = names(values.only, known)
  const except = names(values.except, known) ?? []
  const minutesMax = values.minutes === undefined ? Infinity : Number(values.minutes)
  if (!(minutesMax > 0)) throw new Error(`--minutes is a number above 0\n${USAGE}`)
  return {
    proofs: known.filter(({ name }) => (only?.includes(name) ?? true) && !except.includes(name)),
    isList: values.list ?? false,
    minutesMax,
  }
}

function names(list: string | undefined, known: readonly Proof[]): string[] | undefined {
  const wanted = list?.split(',')
  const unknown = wanted?.find((name) => !known.some((proof) => proof.name === name))
  if (unknown !== undefined)
    throw new Error(`there is no proof ${JSON.stringify(unknown)}\n${USAGE}`)
  return wanted
}
