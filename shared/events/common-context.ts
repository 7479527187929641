/**
 * Contexts without the ids of their session and viewer: what is left is the same in many sessions,
 * which share it. Of their own they have two texts.
 */
import type { EnrichedContext } from './schema.ts'

export type CommonContext = Readonly<Omit<EnrichedContext, 'sessionId' | 'viewerPseudonym'>>

/** A context as a session keeps it, beside its own id. */
export interface KeptContext {
  readonly common: CommonContext
  readonly viewerPseudonym: string | undefined
}

/** Contexts remembered at most; those in use live on, and are made again for the next session. */
const COMMON_CONTEXTS_MAX = 50_000

export class CommonContexts {
  readonly #known = new Map<string, CommonContext>()

  keep(context: EnrichedContext): KeptContext {
    const { sessionId: _sessionId, viewerPseudonym, ...own } = context
    const text = JSON.stringify(own)
    let common = this.#known.get(text)
    if (common === undefined) {
      if (this.#known.size >= COMMON_CONTEXTS_MAX) this.#known.clear()
      common = own
      this.#known.set(text, common)
    }
    return { common, viewerPseudonym }
  }
}

/** The whole context, its fields in the schema's order as those of every context. */
export function wholeContext(
  sessionId: string,
  { common, viewerPseudonym }: KeptContext,
): EnrichedContext {
  return { sessionId, ...common, ...(viewerPseudonym !== undefined && { viewerPseudonym }) }
}
