/** Reading single query parameters; every refusal names the parameter, the rule and what came. */
import { EPOCH_MS_MAX } from '../shared/events/schema.ts'
import type { BackhaulError } from '../shared/runtime/errors.ts'
import { describeValue } from '../shared/runtime/errors.ts'
import { servingErrors } from './errors.ts'

const MINUTE_MS = 60_000
const STEP_UNITS_MS: Readonly<Record<string, number>> = {
  m: MINUTE_MS,
  h: 60 * MINUTE_MS,
  d: 24 * 60 * MINUTE_MS,
}
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

/** What the API refuses about one parameter, e.g. `from`. */
export function invalidParameter(name: string, expected: string, received: unknown): BackhaulError {
  return servingErrors.create('SERVING_QUERY_INVALID', {
    expected: `${name} to be ${expected}`,
    received: describeValue(received),
  })
}

/** Refuses a query that is too long, carries an unknown parameter, or repeats a single one. */
export function parseParameters(
  queryText: string,
  allowed: { readonly single: readonly string[]; readonly repeated: readonly string[] },
  maxChars: number,
): URLSearchParams {
  if (queryText.length > maxChars)
    throw invalidParameter('the query', `at most ${maxChars} characters`, queryText.length)
  const parameters = new URLSearchParams(queryText)
  const known = [...allowed.single, ...allowed.repeated]
  for (const name of new Set(parameters.keys())) {
    if (!known.includes(name))
      throw invalidParameter('a parameter', `one of ${known.join(', ')}`, name)
    if (allowed.single.includes(name) && parameters.getAll(name).length > 1)
      throw invalidParameter(name, 'given once', parameters.getAll(name))
  }
  return parameters
}

/** RFC 3339 with an offset, or epoch milliseconds. */
export function parseTimeMs(name: string, text: string): number {
  const expected = 'an RFC 3339 time such as 2026-01-31T20:00:00Z, or epoch milliseconds'
  if (/^\d{1,15}$/.test(text)) {
    const epochMs = Number(text)
    if (epochMs <= EPOCH_MS_MAX) return epochMs
  } else if (RFC_3339.test(text)) {
    const epochMs = Date.parse(text)
    if (!Number.isNaN(epochMs) && epochMs >= 0) return epochMs
  }
  throw invalidParameter(name, expected, text)
}

/** `1m`, `15m`, `1h`, `1d`, or milliseconds: always a whole number of minutes. */
export function parseStepMs(name: string, text: string): number {
  const expected = 'a whole number of minutes such as 1m, 15m, 1h or 1d'
  const match = /^(\d{1,12})([mhd]?)$/.exec(text)
  if (match === null) throw invalidParameter(name, expected, text)
  const stepMs = Number(match[1]) * (STEP_UNITS_MS[match[2] ?? ''] ?? 1)
  if (stepMs === 0 || stepMs % MINUTE_MS !== 0) throw invalidParameter(name, expected, text)
  return stepMs
}

/** One of `choices`; the first when the parameter is absent. */
export function parseChoice<Choice extends string>(
  name: string,
  text: string | null,
  choices: readonly [Choice, ...Choice[]],
): Choice {
  if (text === null) return choices[0]
  const choice = choices.find((known) => known === text)
  if (choice === undefined) throw invalidParameter(name, `one of ${choices.join(', ')}`, text)
  return choice
}

/** A whole number from 1 to `max`, or `otherwise` when the parameter is absent. */
export function parseCount(
  name: string,
  text: string | null,
  bounds: { readonly otherwise: number; readonly max: number },
): number {
  if (text === null) return bounds.otherwise
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < 1 || value > bounds.max)
    throw invalidParameter(name, `an integer from 1 to ${bounds.max}`, text)
  return value
}
