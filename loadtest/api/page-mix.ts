/**
 * What an open page of the dashboard asks of serving: the same as `serving/dashboard/app.ts`, which a
 * test holds beside it.
 */
export interface PageRequest {
  readonly path: string
  readonly everyMs: number
}

export const PAGE_REQUESTS: readonly PageRequest[] = [
  { path: '/v1/status', everyMs: 2_000 },
  { path: '/v1/sessions?recent=40', everyMs: 3_000 },
  { path: '/v1/alerts', everyMs: 3_000 },
  { path: '/v1/top?metric=plays&by=content&limit=8', everyMs: 10_000 },
]

/** By what pages split the picture, one page after another. */
export const PAGE_SPLITS = ['cdn', 'content', 'player', 'deviceType', 'country'] as const

export interface PageSubscription {
  readonly id: string
  readonly by: readonly string[]
  readonly minutes: number
  readonly series: number
}

/** Of the page that is opened as so manieth. */
export function pageSubscriptions(page: number): readonly PageSubscription[] {
  const split = PAGE_SPLITS[page % PAGE_SPLITS.length] ?? PAGE_SPLITS[0]
  return [
    { id: 'total', by: [], minutes: 30, series: 1 },
    { id: 'recent', by: [], minutes: 5, series: 1 },
    { id: 'split', by: [split], minutes: 30, series: 8 },
  ]
}
