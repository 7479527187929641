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

/** Resolves when every page has had its first windows. */
export async function openPages(url: string, count: number): Promise<OpenPages> {
  const pages = new OpenPages(url, count)
  await pages.opened
  return pages
}

export class OpenPages {
  readonly counts: PageCounts = { updates: 0, answers: 0, failures: 0 }
  readonly opened: Promise<unknown>
  readonly #url: string
  readonly #sockets: WebSocket[] = []
  readonly #cancels: (() => void)[] = []
  #isClosing = false

  constructor(url: string, count: number) {
    this.#url = url
    this.opened = Promise.all(Array.from({ length: count }, (_, page) => this.#open(page)))
  }

  close(): void {
    this.#isClosing = true
    for (const cancel of this.#cancels) cancel()
    for (const socket of this.#sockets) socket.close()
  }

  #open(page: number): Promise<void> {
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
      socket.addEventListener('close', () => {
        if (!this.#isClosing) this.counts.failures += 1
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
      const isAnswered = await isOk(`${this.#url}${path}`)
      isUnderWay = false
      if (isAnswered) this.counts.answers += 1
      else if (!this.#isClosing) this.counts.failures += 1
    }
    this.#cancels.push(clock.every(everyMs, () => void ask()))
  }
}

async function isOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) })
    await response.arrayBuffer()
    return response.status === 200
  } catch {
    return false
  }
}
