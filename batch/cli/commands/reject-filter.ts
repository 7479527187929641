/** Which rejects a command is about. */
import type { CommandArguments, OptionSpec } from '../arguments.ts'
import type { RejectFilter } from '../dlq/rejects.ts'

export const REJECT_FILTER_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  code: { value: 'CODE', doc: 'Only rejects of this code. May be repeated.', isList: true },
  since: { value: 'TIME', doc: 'Only what arrived since, UTC: 2026-03-01 or 2026-03-01T12:30Z.' },
}

export function rejectFilterOf(given: CommandArguments): RejectFilter {
  return { codes: given.list('code'), sinceMs: given.timeMs('since') ?? 0 }
}
