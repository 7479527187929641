/** Turns what a schema found wrong into one short line: path, expected, received. */
import type { z } from 'zod'
import { describeValue } from '../runtime/errors.ts'
import { kindOfJson } from './json-text.ts'
import { DETAIL_MAX_CHARS, RECEIVED_MAX_CHARS } from './limits.ts'

/**
 * `events[3].videoBitrateKbps: expected int, received "5000"` for the first of `issues`.
 * `root` is the value the schema was given and `name` what it is called. Where `isPrivate` says so
 * for a path, the received value is named by its kind only: details are kept and sent in clear.
 */
export function describeIssue(
  name: string,
  root: unknown,
  issues: readonly z.core.$ZodIssue[],
  isPrivate: (path: readonly PropertyKey[]) => boolean = () => false,
): string {
  const issue = issues[0]
  if (issue === undefined) return `${name}: invalid`
  const { path } = issue
  const value = path.reduce<unknown>(memberOf, root)
  const received = isPrivate(path) ? kindOfJson(value) : describeReceived(value)
  return shorten(`${name}${pathText(path)}: expected ${expectedOf(issue)}, received ${received}`)
}

/** `nothing` for an absent value, a length for a long string, else the value itself. */
export function describeReceived(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string' && value.length > RECEIVED_MAX_CHARS)
    return `a string of ${value.length} characters`
  // JSON would call both infinities null.
  if (typeof value === 'number') return String(value)
  return describeValue(value, RECEIVED_MAX_CHARS)
}

export function shorten(detail: string): string {
  return detail.length > DETAIL_MAX_CHARS ? `${detail.slice(0, DETAIL_MAX_CHARS - 1)}…` : detail
}

function memberOf(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null
    ? (Object.getOwnPropertyDescriptor(value, key)?.value as unknown)
    : undefined
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${describeName(String(key))}`))
    .join('')
}

function describeName(name: string): string {
  return name.length > RECEIVED_MAX_CHARS ? `${name.slice(0, RECEIVED_MAX_CHARS)}…` : name
}

function expectedOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected
    case 'too_small':
      return `${measureOf(issue.origin)}at least ${issue.minimum}`
    case 'too_big':
      return `${measureOf(issue.origin)}at most ${issue.maximum}`
    case 'invalid_value':
      return issue.values.length === 1
        ? describeValue(issue.values[0])
        : `one of ${issue.values.map((value) => describeValue(value)).join(', ')}`
    case 'invalid_format':
      return issue.pattern === undefined ? issue.format : `text like ${issue.pattern}`
    case 'invalid_union':
      return 'a known event type'
    case 'invalid_key':
      return 'a name of 1 to 32 characters'
    case 'not_multiple_of':
    case 'unrecognized_keys':
    case 'invalid_element':
    case 'custom':
      return issue.message
  }
}

function measureOf(origin: string): string {
  return origin === 'string' ? 'a length of ' : ''
}
