/**
 * Reads the serving API over and over and reports every value that went backwards: within a
 * bucket of a cut's key, counts may only grow, whatever happens to the server meanwhile.
 */
interface Answer {
  readonly series: readonly {
    readonly key: Readonly<Record<string, string>>
    readonly buckets: readonly Readonly<Record<string, unknown>>[]
  }[]
}

const COUNTS = ['events', 'attempts', 'plays', 'ebvs', 'vsf', 'vpf', 'duplicates'] as const
const READ_TIMEOUT_MS = 5_000

export class RegressionWatch {
  readonly regressions: string[] = []
  readonly #url: string
  readonly #highest = new Map<string, number>()
  #reads = 0

  /** `url`: a `/v1/qoe` query. */
  constructor(url: string) {
    this.#url = url
  }

  /** Answers that were read and compared. */
  get reads(): number {
    return this.#reads
  }

  /** Reads once; a server that is away is not a regression. */
  async read(): Promise<void> {
    let answer: Answer
    try {
      const response = await fetch(this.#url, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) })
      if (!response.ok) return
      answer = (await response.json()) as Answer
    } catch {
      return
    }
    this.#reads += 1
    for (const { key, buckets } of answer.series)
      for (const bucket of buckets)
        for (const name of COUNTS)
          this.#compare(`${JSON.stringify(key)} ${bucket['startMs']} ${name}`, bucket[name])
  }

  #compare(id: string, value: unknown): void {
    if (typeof value !== 'number') return
    const highest = this.#highest.get(id) ?? 0
    if (value < highest) this.regressions.push(`${id}: ${value} after ${highest}`)
    else this.#highest.set(id, value)
  }
}
