/**
 * The context as it goes into the log: the raw viewer id replaced by its pseudonym, the country
 * of a trusted load balancer in force, fields in the schema's order, unknown ones left out. It is
 * computed once per distinct context and kept, because a session sends the same one in every frame.
 */
import { hash } from 'node:crypto'
import { ContextTable } from './context-table.ts'
import type { Pseudonymiser } from './identity.ts'
import { type EnrichedContext, enrichedContextSchema, type SessionContext } from './schema.ts'

export interface ContextOverrides {
  /** The viewer by a verified token; wins over what the context says. */
  readonly viewerId?: string
  /** The country by a trusted header; wins over what the context says, ignored unless `AA`. */
  readonly country?: string
}

/** A context as it came. */
export interface ContextSource {
  readonly contextBytes: Uint8Array
  /** What `contextBytes` hold; read only where they are met for the first time. */
  readonly context: SessionContext
}

export interface ContextEnricher {
  /** The enriched context as one line of JSON; it stands until the next call. */
  enrich(source: ContextSource, overrides: ContextOverrides): Uint8Array
  /** Contexts kept now, at most `cacheEntriesMax`. */
  readonly cacheSize: number
}

export interface ContextEnricherOptions {
  readonly pseudonymiser: Pseudonymiser
  readonly cacheEntriesMax: number
}

export function createContextEnricher(options: ContextEnricherOptions): ContextEnricher {
  const cache = new ContextTable(options.cacheEntriesMax)
  return {
    enrich(source, overrides) {
      const digest = digestOf(source.contextBytes, overrides)
      const known = cache.find(digest)
      if (known !== undefined) return known
      const enriched = enrichedJson(source.context, overrides, options.pseudonymiser)
      const json = encoder.encode(enriched)
      cache.add(digest, json)
      return json
    },
    get cacheSize() {
      return cache.size
    },
  }
}

const encoder = new TextEncoder()
const COUNTRY = /^[A-Z]{2}$/
const FIELDS = Object.keys(enrichedContextSchema.shape) as (keyof EnrichedContext)[]

/** A digest, so that no raw viewer id outlives the frame that brought it; a character for each byte. */
function digestOf(contextBytes: Uint8Array, { viewerId, country }: ContextOverrides): string {
  const digest = hash('sha256', contextBytes, 'binary')
  if (viewerId === undefined && country === undefined) return digest
  const overrides = JSON.stringify([viewerId ?? null, country ?? null])
  return hash('sha256', `${digest}${overrides}`, 'binary')
}

function enrichedJson(
  context: SessionContext,
  overrides: ContextOverrides,
  pseudonymiser: Pseudonymiser,
): string {
  const viewerId = overrides.viewerId || context.viewerId
  const country = overrides.country?.toUpperCase() ?? ''
  const replaced: Partial<EnrichedContext> = {
    ...(COUNTRY.test(country) && { country }),
    ...(context.labels && { labels: sortedByName(context.labels) }),
    ...(viewerId !== undefined && { viewerPseudonym: pseudonymiser.pseudonym(viewerId) }),
  }
  const values: Partial<EnrichedContext> = context
  let members = ''
  for (const field of FIELDS) {
    const value = replaced[field] ?? values[field]
    if (value === undefined) continue
    members += `${members === '' ? '' : ','}"${field}":${JSON.stringify(value)}`
  }
  return `{${members}}`
}

function sortedByName(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0)),
  )
}
