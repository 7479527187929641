/**
 * What the gateway adds to a context before anything is written: the viewer of the token (as a
 * pseudonym), the country of a trusted load balancer. A source is computed once per connection or
 * request. Client addresses are never part of it.
 */
import type { HttpRequest } from 'uWebSockets.js'
import type { Principal } from '../shared/auth/token-verifier.ts'
import {
  createContextEnricher,
  type ContextEnricher,
  type ContextOverrides,
} from '../shared/events/context.ts'
import type { Pseudonymiser } from '../shared/events/identity.ts'
import { FRAME_SCHEMA } from '../shared/log/record.ts'
import { TRACEPARENT_MAX_CHARS } from './limits.ts'

/** Where frames come from, as far as it shows in their records. */
export interface IngestSource {
  readonly overrides: ContextOverrides
  /** Headers of every record of this source. */
  readonly headers: Readonly<Record<string, string>>
}

export interface SourceFacts {
  readonly principal: Principal
  /** Value of the trusted country header, empty when there is none. */
  readonly country: string
  readonly traceparent: string
}

export interface Enrichment {
  readonly contexts: ContextEnricher
  /** The trace context of a request, unchecked; empty where none is taken. */
  traceparentOf(request: Pick<HttpRequest, 'getHeader'>): string
  sourceOf(facts: SourceFacts): IngestSource
}

const COUNTRY = /^[A-Za-z]{2}$/
/** Version 00 of the W3C’s Trace Context; ids of zeros are none. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

export function createEnrichment(options: {
  readonly pseudonymiser: Pseudonymiser
  readonly cacheEntriesMax: number
  readonly instanceId: string
  /** Whether trace context is taken. */
  readonly traceContext: boolean
}): Enrichment {
  const { pseudonymiser, cacheEntriesMax, instanceId, traceContext } = options
  const plainHeaders = { schema: FRAME_SCHEMA, gateway: instanceId }
  // Most connections add nothing of their own: they share one source.
  const plainSource: IngestSource = { overrides: {}, headers: plainHeaders }
  return {
    contexts: createContextEnricher({ pseudonymiser, cacheEntriesMax }),
    traceparentOf: (request) => (traceContext ? request.getHeader('traceparent') : ''),
    sourceOf({ principal, country, traceparent }) {
      const traced = traceparent.length <= TRACEPARENT_MAX_CHARS && TRACEPARENT.test(traceparent)
      const hasCountry = COUNTRY.test(country)
      if (principal.subject === undefined && !hasCountry && !traced) return plainSource
      return {
        overrides: {
          ...(principal.subject === undefined ? {} : { viewerId: principal.subject }),
          ...(hasCountry ? { country: country.toUpperCase() } : {}),
        },
        headers: traced ? { ...plainHeaders, traceparent } : plainHeaders,
      }
    },
  }
}
