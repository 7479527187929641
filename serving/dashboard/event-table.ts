/** Every event of a session, in order, with what was done with it. */
import type { SessionResponse, TimelineEntry } from '../api-schemas.ts'
import { h } from './dom.ts'
import { formatClock, formatElapsed } from './format.ts'
import { stateBadge } from './side-lists.ts'
import type { TimelineDrawing } from './timeline-drawing.ts'

const HEADINGS = ['Seq', 'Time', 'Clock', 'Event', 'State after', 'Details', 'Arrived']

export function eventTable(session: SessionResponse, drawing: TimelineDrawing): HTMLElement {
  const rows = new Map<TimelineEntry, HTMLElement>()
  for (const entry of session.timeline) rows.set(entry, row(entry, drawing))
  drawing.onPoint = (entry) => {
    for (const [of, element] of rows) element.classList.toggle('on', of === entry)
    if (entry !== undefined) rows.get(entry)?.scrollIntoView({ block: 'nearest' })
  }
  const { expired, beyondLimit } = session.timelineFrames
  return h(
    'section',
    { class: 'panel events' },
    h(
      'header',
      {},
      h('h2', {}, 'Events'),
      h('p', {}, `${session.timeline.length} in order of seq`),
    ),
    expired > 0 &&
      h(
        'p',
        { class: 'note' },
        `${expired} frames have expired from the log; their events are not shown.`,
      ),
    beyondLimit > 0 &&
      h('p', { class: 'note' }, `${beyondLimit} later frames are beyond what a timeline shows.`),
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Events' },
      h(
        'table',
        {},
        h('thead', {}, h('tr', {}, ...HEADINGS.map((label) => h('th', { scope: 'col' }, label)))),
        h('tbody', {}, ...rows.values()),
      ),
    ),
  )
}

function row(entry: TimelineEntry, drawing: TimelineDrawing): HTMLElement {
  const delayMs = entry.receivedAtMs - entry.eventTimeMs
  return h(
    'tr',
    {
      class: entry.status === 'applied' ? undefined : 'aside',
      onmouseenter: () => drawing.highlight(entry),
      onmouseleave: () => drawing.highlight(undefined),
    },
    h('td', {}, String(entry.seq)),
    h('td', {}, formatElapsed(entry.eventTimeMs - drawing.startMs)),
    h('td', { class: 'dim' }, formatClock(entry.eventTimeMs, true)),
    h(
      'th',
      { scope: 'row' },
      entry.type,
      entry.status !== 'applied' && h('small', {}, entry.status),
    ),
    h('td', {}, entry.state === undefined ? '' : stateBadge(entry.state)),
    h('td', { class: 'details' }, describeFields(entry.fields)),
    h('td', { class: 'dim' }, `+${formatElapsed(delayMs)}`),
  )
}

function describeFields(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' · ')
}
