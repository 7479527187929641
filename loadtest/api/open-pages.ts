/** Pages of the dashboard that are open, as serving sees them: connections and requests, no browser. */
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { PAGE_REQUESTS, pageSubscriptions } from './page-mix.ts'

export interface PageCounts {
  updates: number
  answers: number
  /** Requests that were not answered with 200, and connections that ended. */
  failures: number
}

const ANSWER_DEADLINE_MS = 20_000
const REASONS_MAX = 20

/** One after another over `withinMs`, as people do; resolves when every page has had its first windows. */
export async function openPages(url: string, count: number, withinMs: number): Promise<OpenPages> {
  const pages = new OpenPages(url)
  const opened: Promise<void>[] = []
  for (let page = 0; page < count; page += 1) {
    const opening = pages.open(page)
    // Told below, when all have been begun.
    opening.catch(() => undefined)
    opened.push(opening)
    await clock.sleep(withinMs / count)
  }
  await Promise.all(opened)
  return pages
}

class OpenPages {
  readonly counts: PageCounts = { updates: 0, answers: 0, failures: 0 }
  readonly #url: string
  readonly #sockets: WebSocket[] = []
  readonly #cancels: (() => void)[] = []
  readonly #reasons = new Set<string>()
  #isClosing = false

  constructor(url: string) {
    this.#url = url
  }

  /** Of failures, each once, the first twenty. */
  get reasons(): readonly string[] {
    return [...this.#reasons]
  }

  close(): void {
    this.#isClosing = true
    for (const cancel of this.#cancels) cancel()
    for (const socket of this.#sockets) socket.close()
  }

  /** Resolves when it has had its first windows; rejects when its connection is closed before. */
  open(page: number): Promise<void> {
    for (const { path, everyMs } of PAGE_REQUESTS) this.#askEvery(path, everyMs)
    const socket = new WebSocket(`${this.#url.replace('http', 'ws')}/v1/live`)
    this.#sockets.push(socket)
    const awaited = new Set(pageSubscriptions(page).map(({ id }) => id))
    return new Promise((resolve, reject) => {
      socket.addEventListener('open', () => {
        for (const subscribe of pageSubscriptions(page)) socket.send(JSON.stringify({ subscribe }))
      })
      socket.addEventListener('message', ({ data }) => {
        const { update } = JSON.parse(String(data)) as { update?: { id: string } }
        if (update === undefined) return
        this.counts.updates += 1
        awaited.delete(update.id)
        if (awaited.size === 0) resolve()
      })
      socket.addEventListener('close', ({ code, reason }) => {
        this.#failed(`a live connection was closed: ${code} ${reason}`)
        reject(new Error(`a live connection was closed before ${[...awaited].join(', ')} came`))
      })
    })
  }

  /** One at a time, as the page does. */
  #askEvery(path: string, everyMs: number): void {
    let isUnderWay = false
    const ask = async () => {
      if (isUnderWay) return
      isUnderWay = true
      const problem = await problemOf(`${this.#url}${path}`)
      isUnderWay = false
      if (problem === undefined) this.counts.answers += 1
      else this.#failed(`${path}: ${problem}`)
    }
    this.#cancels.push(clock.every(everyMs, () => void ask()))
  }

  #failed(reason: string): void {
    if (this.#isClosing) return
    this.counts.failures += 1
    if (this.#reasons.size < REASONS_MAX) this.#reasons.add(reason)
  }
}

/** Why there is no answer; `undefined` where there is one. */
async function problemOf(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) })
    const text = await response.text()
    return response.status === 200 ? undefined : `${response.status} ${text}`
  } catch (error) {
    return String(error)
  }
}
