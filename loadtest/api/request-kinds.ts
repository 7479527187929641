/** Requests of tools whose cost is measured, and what each asks for. */
export const REQUEST_KINDS = ['live', 'history', 'session'] as const
export type RequestKind = (typeof REQUEST_KINDS)[number]

export const ASKS: Readonly<Record<RequestKind, string>> = {
  live: 'half an hour by CDN, from the live rows',
  history: 'an hour and a half of one content, from the tables and no cache',
  session: 'a session with its timeline',
}
