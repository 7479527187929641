/**
 * Reads the serving API over and over and reports every value that went backwards: within a
 * bucket of a cut's key, counts may only grow, whatever happens to the server meanwhile. The history
 * may correct what the live view said of a minute, but not how many frames arrived in it.
 */
interface Answer {
  readonly series: readonly {
    /** The sum of the keys beyond the largest: which those are may change. */
    readonly other?: boolean
    readonly key: Readonly<Record<string, string>>
    readonly buckets: readonly Readonly<Record<string, unknown>>[]
  }[]
}

interface SessionAnswer {
  /** The summary is that of the latest part, so it begins anew with a content; parts do not. */
  readonly parts: readonly Readonly<Record<string, unknown>>[]
  readonly timeline: readonly unknown[]
}

/** Everything a bucket counts; ratios and quantiles may fall. */
const COUNTS = [
  'sessions',
  'attempts',
  'plays',
  'ebvs',
  'vsf',
  'vpf',
  'endedPlays',
  'failures',
  'startups',
  'stalls',
  'stallMs',
  'playingMs',
  'watchedMs',
  'events',
  'lost',
  'duplicates',
  'late',
  'concurrentPlays',
  'concurrentViewers',
] as const
/** Facts of arrival, equal in the live view and in the history. */
const ARRIVALS = ['frames', 'bytes'] as const
const PART_COUNTS = ['events', 'stallCount', 'stallMs', 'playingMs', 'watchedMs', 'play'] as const
const READ_TIMEOUT_MS = 5_000

export class RegressionWatch {
  readonly regressions: string[] = []
  readonly #url: string
  readonly #compareAnswer: (answer: unknown) => void
  readonly #highest = new Map<string, number>()
  #reads = 0

  private constructor(url: string, kind: 'buckets' | 'session') {
    this.#url = url
    this.#compareAnswer = (answer) =>
      kind === 'buckets'
        ? this.#compareBuckets(answer as Answer)
        : this.#compareSession(answer as SessionAnswer)
  }

  /** Watches a `/v1/qoe` query. */
  static ofQuery(url: string): RegressionWatch {
    return new RegressionWatch(url, 'buckets')
  }

  /** Watches a `/v1/sessions/{id}`. */
  static ofSession(url: string): RegressionWatch {
    return new RegressionWatch(url, 'session')
  }

  /** Answers that were read and compared. */
  get reads(): number {
    return this.#reads
  }

  /** Reads once; a server that is away is not a regression. */
  async read(): Promise<void> {
    let answer: unknown
    try {
      const response = await fetch(this.#url, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) })
      if (!response.ok) return
      answer = await response.json()
    } catch {
      return
    }
    this.#reads += 1
    this.#compareAnswer(answer)
  }

  #compareBuckets({ series }: Answer): void {
    for (const { key, buckets, other } of series) {
      if (other === true) continue
      for (const bucket of buckets)
        for (const name of bucket['source'] === 'speed' ? [...COUNTS, ...ARRIVALS] : ARRIVALS)
          this.#compare(`${JSON.stringify(key)} ${bucket['startMs']} ${name}`, bucket[name])
    }
  }

  #compareSession({ parts, timeline }: SessionAnswer): void {
    for (const part of parts)
      for (const name of PART_COUNTS) this.#compare(`part ${part['part']} ${name}`, part[name])
    this.#compare('timeline', timeline.length)
  }

  #compare(id: string, value: unknown): void {
    if (typeof value !== 'number') return
    const highest = this.#highest.get(id) ?? 0
    if (value < highest) this.regressions.push(`${this.#url} ${id}: ${value} after ${highest}`)
    else this.#highest.set(id, value)
  }
}
