/** The batch in a few lines: how far the history goes, when it goes on, and whether it agrees. */
import type { StatusResponse } from '../api-schemas.ts'
import { h, setText } from './dom.ts'
import { formatAge, formatClock, formatCount, formatDuration, joined } from './format.ts'

type Verdict = NonNullable<StatusResponse['reconcile']['lastRun']>

/** What a reader sees of a line: its text, how it stands, and more when asked. */
interface Line {
  readonly text: string
  readonly level?: 'good' | 'bad' | 'worse'
  readonly hint?: string
}

const LINES: readonly {
  readonly label: string
  readonly hint: string
  readonly show: (status: StatusResponse) => Line
}[] = [
  {
    label: 'History up to',
    hint: 'Minutes before this time are answered from the history; the charts mark it',
    show: ({ batch, nowMs, degraded }) => {
      if (degraded?.[0] !== undefined)
        return { text: 'unavailable', level: 'bad', hint: degraded[0].detail }
      const toMs = batch.lastRun?.historyToMs
      if (toMs === undefined || toMs === 0) return { text: 'none yet' }
      return { text: `${formatClock(toMs).slice(0, 5)}, ${joined(formatAge(nowMs - toMs))} ago` }
    },
  },
  {
    label: 'Last run',
    hint: 'The newest complete run: its number, its age, how long it took',
    show: ({ batch: { lastRun }, nowMs }) => {
      if (lastRun === null) return { text: 'none yet' }
      const age = joined(formatAge(nowMs - lastRun.endedAtMs))
      const took = joined(formatDuration(lastRun.endedAtMs - lastRun.startedAtMs))
      return {
        text: `№\u202f${lastRun.run}, ${age} ago, ${took}`,
        hint: `${joined(formatCount(lastRun.events))} events of ${joined(formatCount(lastRun.records))} records`,
      }
    },
  },
  {
    label: 'Next run',
    hint: 'When the schedule runs the batch again',
    show: ({ batch, nowMs }) => {
      if (batch.isRunning) return { text: 'running now' }
      if (batch.nextRunAtMs === null) return { text: 'not scheduled' }
      return { text: `in ${joined(formatAge(batch.nextRunAtMs - nowMs))}` }
    },
  },
  {
    label: 'Live = history',
    hint: 'What the newest reconciliation found: equal to the integer, or not and why',
    show: ({ reconcile }) => verdictLine(reconcile.lastRun),
  },
]

function verdictLine(verdict: Verdict | null): Line {
  if (verdict === null) return { text: 'not compared yet' }
  const compared = `run ${verdict.run}: ${joined(formatCount(verdict.compared))} rows compared`
  switch (verdict.verdict) {
    case 'equal':
      return { text: 'equal', level: 'good', hint: compared }
    case 'explained':
      return {
        text: `${joined(formatCount(verdict.explained + verdict.erased))} explained`,
        level: 'good',
        hint: `${compared}; every difference is proven by counted exceptions or erasures`,
      }
    case 'defect':
      return {
        text: `${joined(formatCount(verdict.defects))} defects`,
        level: 'worse',
        hint: `${compared}; npx backhaul reconcile names each`,
      }
    case 'pending':
      return { text: 'pending', hint: 'Nothing could be compared yet' }
  }
}

export class BatchPanel {
  readonly element: HTMLElement
  readonly #values = LINES.map(() => h('dd', {}, '–'))
  readonly #failure = h('p', { class: 'note', hidden: true })

  constructor() {
    const pairs = LINES.flatMap(({ label, hint }, index) => [
      h('dt', { title: hint }, label),
      this.#values[index],
    ])
    this.element = h(
      'section',
      { class: 'panel batch', 'aria-label': 'History' },
      h('header', {}, h('h2', {}, 'History'), h('p', {}, 'what the batch has completed')),
      h('dl', { class: 'pairs' }, ...pairs),
      this.#failure,
    )
  }

  draw(status: StatusResponse): void {
    for (const [index, { show }] of LINES.entries()) {
      const value = this.#values[index]
      if (value === undefined) continue
      const { text, level, hint } = show(status)
      setText(value, text)
      value.className = level ?? ''
      value.title = hint ?? ''
    }
    const { failure } = status.batch
    this.#failure.hidden = failure === null
    setText(
      this.#failure,
      failure === null ? '' : `${failure.code} at ${formatClock(failure.atMs)}`,
    )
    this.#failure.title = failure?.detail ?? ''
  }
}
