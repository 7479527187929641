import type { SessionRow } from './rows.ts'

/** Of the enriched context; a row without the word has no viewer. */
export const VIEWER_FIELD = 'viewerPseudonym'

/** Whose session it is, by pseudonym: the viewer of the latest part; `undefined` when it names none. */
export function viewerOf({ contextJson }: Pick<SessionRow, 'contextJson'>): string | undefined {
  if (!contextJson.includes(VIEWER_FIELD)) return undefined
  const context = JSON.parse(contextJson) as Readonly<Record<string, unknown>>
  const viewer = context[VIEWER_FIELD]
  return typeof viewer === 'string' ? viewer : undefined
}
