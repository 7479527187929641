/** The session as coloured bands on a time axis, a mark for each event above them. */
import type { SessionResponse, TimelineEntry } from '../api-schemas.ts'
import { h, s } from './dom.ts'
import { formatClock, formatElapsed } from './format.ts'
import { tickStepMs, toBands } from './state-bands.ts'

const WIDTH = 1_000
const LANE_HEIGHT = 46
const MARKS_HEIGHT = 22
/** Narrower bands carry no word. */
const WORD_WIDTH = 56

/** Which events get a tall mark; heartbeats and the like get a small one. */
const LOUD = new Set([
  'playbackFail',
  'warning',
  'playbackStall',
  'playbackStart',
  'playbackRequest',
  'playbackFinish',
  'sessionEnd',
  'playbackPause',
  'seekStart',
  'renditionUpdate',
  'cdnUpdate',
])

export class TimelineDrawing {
  readonly element: HTMLElement
  readonly #marks = new Map<TimelineEntry, SVGElement>()
  readonly startMs: number
  /** Called when a mark is pointed at, to find its line in the table. */
  onPoint: ((entry: TimelineEntry | undefined) => void) | undefined

  constructor(session: SessionResponse) {
    const times = session.timeline.map(({ eventTimeMs }) => eventTimeMs)
    this.startMs = Math.min(
      ...times,
      session.parts[0]?.firstEventTimeMs ?? session.summary.firstEventTimeMs,
    )
    const endMs = Math.max(...times, session.summary.lastEventTimeMs)
    const lengthMs = Math.max(1_000, endMs - this.startMs)
    const x = (timeMs: number) => ((timeMs - this.startMs) / lengthMs) * WIDTH
    this.element = h(
      'section',
      { class: 'panel timeline' },
      h(
        'header',
        {},
        h('h2', {}, 'Timeline'),
        h(
          'p',
          {},
          `${formatClock(this.startMs)} – ${formatClock(endMs)}, ${formatElapsed(endMs - this.startMs)}`,
        ),
        legend(),
      ),
      this.#drawing(session, x),
      axis(lengthMs),
    )
  }

  /** Draws one event's mark out, or none. */
  highlight(entry: TimelineEntry | undefined): void {
    for (const [of, mark] of this.#marks) mark.classList.toggle('on', of === entry)
  }

  #drawing(session: SessionResponse, x: (timeMs: number) => number): HTMLElement {
    const bands = toBands(session.timeline)
    const box = h('div', { class: 'lane', role: 'img', 'aria-label': describe(session) })
    // HTML boxes in percent, not SVG: words keep their shape at any width.
    for (const band of bands) {
      const left = x(band.fromMs)
      const width = x(band.toMs) - left
      const word = `${band.state} ${formatElapsed(band.toMs - band.fromMs)}`
      const element = h('span', { class: `band band-${band.state}`, title: word })
      element.style.left = `${left / 10}%`
      element.style.width = `max(${width / 10}%, 1px)`
      if (width > WORD_WIDTH) element.append(band.state)
      box.append(element)
    }
    const marks = s('svg', {
      class: 'marks',
      viewBox: `0 0 ${WIDTH} ${MARKS_HEIGHT}`,
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    })
    for (const entry of session.timeline) {
      const at = x(entry.eventTimeMs).toFixed(2)
      const loud = LOUD.has(entry.type)
      const mark = s('path', {
        class: `mark mark-${markClass(entry)}`,
        d: `M${at} ${loud ? 2 : 13}V${MARKS_HEIGHT}`,
        'vector-effect': 'non-scaling-stroke',
        onmouseenter: () => this.onPoint?.(entry),
        onmouseleave: () => this.onPoint?.(undefined),
      })
      mark.append(
        s(
          'title',
          {},
          `${entry.seq} ${entry.type} ${formatElapsed(entry.eventTimeMs - this.startMs)}`,
        ),
      )
      this.#marks.set(entry, mark)
      marks.append(mark)
    }
    const drawing = h('div', { class: 'drawing' }, box)
    drawing.prepend(marks)
    box.style.height = `${LANE_HEIGHT}px`
    return drawing
  }
}

function markClass(entry: TimelineEntry): string {
  if (entry.status !== 'applied') return 'aside'
  if (entry.type === 'playbackFail') return 'fail'
  if (entry.type === 'warning' || entry.type === 'playbackStall') return 'warn'
  return LOUD.has(entry.type) ? 'loud' : 'quiet'
}

function axis(lengthMs: number): HTMLElement {
  const stepMs = tickStepMs(lengthMs, 8)
  const ticks = h('div', { class: 'axis', 'aria-hidden': 'true' })
  for (let atMs = 0; atMs < lengthMs * 0.97; atMs += stepMs) {
    const tick = h('span', {}, formatElapsed(atMs).replace(/\.000$/, ''))
    tick.style.left = `${(atMs / lengthMs) * 100}%`
    ticks.append(tick)
  }
  return ticks
}

function legend(): HTMLElement {
  return h(
    'ul',
    { class: 'legend', 'aria-label': 'Colours of states' },
    ...['starting', 'playing', 'stalled', 'seeking', 'paused'].map((state) =>
      h('li', {}, h('i', { class: `band-${state}` }), state),
    ),
  )
}

function describe(session: SessionResponse): string {
  const { summary } = session
  return `States over time: ${summary.stallCount} stalls, ${summary.stallMs} ms stalled, ${summary.playingMs} ms playing, now ${summary.state}`
}
