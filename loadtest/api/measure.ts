/** What live and history requests and open dashboards cost serving: the CPU time of its process. */
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { StopStack } from '../../shared/runtime/lifecycle.ts'
import { usageOf } from '../load/process-usage.ts'
import { openPages, type PageCounts } from './open-pages.ts'
import { REQUEST_KINDS, type RequestKind } from './request-kinds.ts'
import { startStand, type Stand } from './stand.ts'

export interface RequestCost {
  readonly requests: number
  readonly wallMs: number
  readonly cpuMs: number
  /** Not answered with 200, or from another side than what is measured. */
  readonly wrong: number
}

export interface ServingMeasured {
  readonly requests: Readonly<Record<RequestKind, RequestCost>>
  readonly pages: PageCounts & {
    readonly open: number
    readonly wallMs: number
    readonly cpuMs: number
    /** Of failures, each once. */
    readonly reasons: readonly string[]
  }
  /** Of serving with nobody who asks. */
  readonly idleCores: number
}

export interface ServingOptions {
  /** Of a full run, up to 1. */
  readonly share: number
  said(line: string): void
}

const OPEN_PAGES = 50
const CALLERS = 4
/** Of each kind, and of the pages. */
const MEASURE_MS = 20_000
/** What is asked runs compiled by then. */
const WARM_UP_MS = 10_000
const LEAST_MS = 2_000
const MINUTE_MS = 60_000
const LIVE_MINUTES = 30

interface Answer {
  readonly series?: readonly { readonly buckets: readonly { readonly source: string }[] }[]
  readonly timeline?: readonly unknown[]
}

/** A question, and whether the answer is of what is measured. */
interface Question {
  path(count: number): string
  isRight(answer: Answer): boolean
}

export async function measureServing({ share, said }: ServingOptions): Promise<ServingMeasured> {
  const stack = new StopStack()
  try {
    const stand = await startStand({ share, said }, stack)
    const lasting = (ms: number) => Math.max(LEAST_MS, ms * share)
    const idle = await during(stand, () => clock.sleep(lasting(WARM_UP_MS)))
    const questions = await questionsOf(stand)
    const costs: [RequestKind, RequestCost][] = []
    for (const kind of REQUEST_KINDS) {
      await ask(stand, questions[kind], lasting(WARM_UP_MS))
      costs.push([kind, await ask(stand, questions[kind], lasting(MEASURE_MS))])
      said(`${kind} requests are measured`)
    }
    const requests = Object.fromEntries(costs) as Record<RequestKind, RequestCost>
    const pages = await keepPagesOpen(stand, lasting)
    return { requests, pages, idleCores: idle.cpuMs / idle.wallMs }
  } finally {
    await stack.stop()
  }
}

async function keepPagesOpen({ url, pid }: Stand, lasting: (ms: number) => number) {
  const pages = await openPages(url, OPEN_PAGES, lasting(WARM_UP_MS))
  await clock.sleep(lasting(WARM_UP_MS))
  const before = { ...pages.counts }
  const used = await during({ pid }, () => clock.sleep(lasting(MEASURE_MS)))
  const { updates, answers, failures } = pages.counts
  pages.close()
  return {
    ...used,
    open: OPEN_PAGES,
    updates: updates - before.updates,
    answers: answers - before.answers,
    failures: failures - before.failures,
    reasons: pages.reasons,
  }
}

async function questionsOf({ url, history }: Stand): Promise<Record<RequestKind, Question>> {
  const response = await fetch(`${url}/v1/sessions?recent=40`)
  const { sessions } = (await response.json()) as { sessions: { sessionId: string }[] }
  const isFrom = (source: string) => (answer: Answer) => {
    const buckets = (answer.series ?? []).flatMap((one) => one.buckets)
    return buckets.length > 0 && buckets.every((bucket) => bucket.source === source)
  }
  const { fromMs, toMs, contents } = history
  return {
    live: {
      path: () => {
        const nowMs = Math.ceil(clock.nowMs() / MINUTE_MS) * MINUTE_MS
        return `/v1/qoe?by=cdn&step=1m&from=${nowMs - LIVE_MINUTES * MINUTE_MS}&to=${nowMs}`
      },
      isRight: isFrom('speed'),
    },
    history: {
      path: (count) => {
        const number = contents.first + (count % (contents.end - contents.first))
        const content = `content-${String(number).padStart(4, '0')}`
        return `/v1/qoe?by=content&where=content:${content}&step=1m&from=${fromMs}&to=${toMs}`
      },
      isRight: isFrom('history'),
    },
    session: {
      path: (count) => `/v1/sessions/${sessions[count % sessions.length]?.sessionId}`,
      isRight: ({ timeline = [] }) => timeline.length > 0,
    },
  }
}

/** By several callers, each of whom asks again when it is answered. */
async function ask(stand: Stand, question: Question, ms: number): Promise<RequestCost> {
  let requests = 0
  let wrong = 0
  const endMs = clock.monotonicMs() + ms
  const call = async () => {
    while (clock.monotonicMs() < endMs) {
      const response = await fetch(`${stand.url}${question.path(requests++)}`)
      const answer = (await response.json()) as Answer
      if (response.status !== 200 || !question.isRight(answer)) wrong += 1
    }
  }
  const used = await during(stand, () => Promise.all(Array.from({ length: CALLERS }, call)))
  return { ...used, requests, wrong }
}

async function during(
  { pid }: Pick<Stand, 'pid'>,
  work: () => Promise<unknown>,
): Promise<{ readonly wallMs: number; readonly cpuMs: number }> {
  const startMs = clock.monotonicMs()
  const { cpuMs } = usageOf(pid)
  await work()
  return { wallMs: clock.monotonicMs() - startMs, cpuMs: usageOf(pid).cpuMs - cpuMs }
}
