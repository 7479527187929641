/** Cross-origin rules of an endpoint that pages of other origins call. */
export interface CorsRules {
  /** Allowed origins; `*` allows all. */
  readonly origins: readonly string[]
  readonly methods: readonly string[]
  readonly headers: readonly string[]
  /** How long a browser may remember the answer of a preflight. */
  readonly maxAgeSeconds: number
}

/** Whether a page of `origin` may call; a request without an origin is not a page's. */
export function isOriginAllowed(rules: Pick<CorsRules, 'origins'>, origin: string): boolean {
  return origin === '' || rules.origins.includes('*') || rules.origins.includes(origin)
}

/** Headers of an ordinary answer to `origin`. */
export function corsHeaders(
  rules: Pick<CorsRules, 'origins'>,
  origin: string,
): Readonly<Record<string, string>> {
  if (rules.origins.includes('*')) return ANY_ORIGIN
  if (origin === '' || !rules.origins.includes(origin)) return { vary: 'origin' }
  return { 'access-control-allow-origin': origin, vary: 'origin' }
}

/** Headers of the answer to a preflight from `origin`. */
export function preflightHeaders(
  rules: CorsRules,
  origin: string,
): Readonly<Record<string, string>> {
  return {
    ...corsHeaders(rules, origin),
    'access-control-allow-methods': rules.methods.join(', '),
    'access-control-allow-headers': rules.headers.join(', '),
    'access-control-max-age': String(rules.maxAgeSeconds),
  }
}

const ANY_ORIGIN: Readonly<Record<string, string>> = { 'access-control-allow-origin': '*' }
