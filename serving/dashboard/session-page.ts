/** One session: what the viewer saw, drawn as states over time, with every event beneath. */
import type { SessionResponse, SessionSummary, TimelineEntry } from '../api-schemas.ts'
import { getJson, ApiProblem } from './api-client.ts'
import type { PageClock } from './browser-clock.ts'
import { h } from './dom.ts'
import { eventTable } from './event-table.ts'
import {
  formatDateTime,
  formatDuration,
  formatBitrate,
  formatCount,
  formatPercent,
  joined,
  type Quantity,
} from './format.ts'
import { stateBadge } from './side-lists.ts'
import { titled } from './titled.ts'
import { TimelineDrawing } from './timeline-drawing.ts'

const REFRESH_MS = 2_000
const PAGE_EVENTS = 2_000

export class SessionPage {
  readonly element = h('main', { id: 'content', class: 'session' })
  readonly #sessionId: string
  readonly #stopRefresh: () => void
  readonly #abort = new AbortController()
  #shown = ''
  #loading = false

  constructor(sessionId: string, clock: PageClock) {
    this.#sessionId = sessionId
    this.element.append(h('p', { class: 'dim' }, 'Loading…'))
    void this.#load()
    this.#stopRefresh = clock.every(REFRESH_MS, () => void this.#load())
  }

  close(): void {
    this.#stopRefresh()
    this.#abort.abort()
  }

  async #load(): Promise<void> {
    if (this.#loading) return
    this.#loading = true
    try {
      const session = await this.#read()
      const shown = JSON.stringify(session)
      if (shown !== this.#shown) this.#draw(session)
      this.#shown = shown
      if (session.closed) this.#stopRefresh()
    } catch (error) {
      if (this.#abort.signal.aborted) return
      if (this.#shown === '') this.#drawProblem(error)
    } finally {
      this.#loading = false
    }
  }

  /** The session with its whole timeline, page by page. */
  async #read(): Promise<SessionResponse> {
    const path = `/v1/sessions/${encodeURIComponent(this.#sessionId)}?limit=${PAGE_EVENTS}`
    const first = await getJson<SessionResponse>(path, this.#abort.signal)
    const timeline: TimelineEntry[] = [...first.timeline]
    let cursor = first.nextCursor
    while (cursor !== undefined) {
      const next: SessionResponse = await getJson(`${path}&cursor=${cursor}`, this.#abort.signal)
      timeline.push(...next.timeline)
      cursor = next.nextCursor
    }
    return { ...first, timeline }
  }

  #draw(session: SessionResponse): void {
    const open = this.element.querySelector('details')?.open ?? false
    const drawing = new TimelineDrawing(session)
    const table = eventTable(session, drawing)
    const scrolled = this.element.querySelector('.events .scroll')?.scrollTop ?? 0
    this.element.replaceChildren(
      heading(session),
      metricTiles(session),
      ...(session.parts.length > 1 ? [partsTable(session)] : []),
      drawing.element,
      table,
      h('div', { class: 'facts' }, qualityPanel(session), contextPanel(session, open)),
    )
    const scroll = this.element.querySelector('.events .scroll')
    if (scroll !== null) scroll.scrollTop = scrolled
  }

  #drawProblem(error: unknown): void {
    const unknown = error instanceof ApiProblem && error.status === 404
    this.element.replaceChildren(
      back(),
      h(
        'section',
        { class: 'empty' },
        h('h2', {}, unknown ? 'No such session' : 'The session cannot be shown'),
        h('p', {}, h('code', {}, this.#sessionId)),
        h(
          'p',
          {},
          unknown
            ? 'It is not in the speed store: the id may be wrong, it may have expired, or its first event has not been processed yet. This page looks again every two seconds.'
            : `${String(error)}. This page tries again every two seconds.`,
        ),
      ),
    )
  }
}

function back(): HTMLElement {
  return h('a', { class: 'back', href: '#/' }, '← Overview')
}

function heading(session: SessionResponse): HTMLElement {
  const context = session.context as {
    readonly contentTitle?: string
    readonly contentId?: string
    readonly cdn?: string
    readonly country?: string
    readonly device?: { readonly type?: string; readonly model?: string }
    readonly player?: { readonly name?: string; readonly version?: string }
  }
  const { summary } = session
  const isOpen = !session.closed && summary.state !== 'ended' && summary.state !== 'failed'
  const title = context.contentTitle ?? summary.content?.title
  const facts = [
    title === undefined ? undefined : context.contentId,
    ...catalogueFacts(summary.content),
    context.cdn,
    [context.device?.type, context.device?.model].filter(Boolean).join(' '),
    [context.player?.name, context.player?.version].filter(Boolean).join(' '),
    context.country,
  ].filter((fact) => fact !== undefined && fact !== '')
  return h(
    'header',
    { class: 'session-head' },
    back(),
    h(
      'div',
      { class: 'session-title' },
      h('h2', {}, title ?? summary.contentId ?? context.contentId ?? 'Session'),
      stateBadge(summary.state),
      summary.endReason !== undefined && h('span', { class: 'dim' }, `by ${summary.endReason}`),
      isOpen && h('span', { class: 'live-mark' }, 'live'),
    ),
    h(
      'p',
      { class: 'dim' },
      h('code', {}, session.sessionId),
      ['', ...facts, `began ${formatDateTime(summary.firstEventTimeMs)}`].join(' · '),
    ),
  )
}

function metricTiles(session: SessionResponse): HTMLElement {
  const { summary, quality } = session
  const outcome =
    summary.vsf === 1
      ? 'failed before the start'
      : summary.vpf === 1
        ? 'failed while playing'
        : summary.ebvs === 1
          ? 'left before the start'
          : summary.play === 1
            ? 'played'
            : 'not started'
  const tiles: [label: string, value: Quantity, second: string][] = [
    ['Start-up', formatDuration(summary.startupMs), outcome],
    [
      'Stalls',
      formatCount(summary.stallCount),
      `${joined(formatDuration(summary.stallMs))} stalled`,
    ],
    ['Stalled time', formatPercent(summary.stalledTimeRatio), 'of watched time'],
    [
      'Played',
      formatDuration(summary.playingMs),
      `${joined(formatDuration(summary.watchedMs))} watched`,
    ],
    [
      'Bitrate',
      formatBitrate(summary.averageBitrateKbps),
      `${joined(formatDuration(summary.mediaMs))} of media`,
    ],
    ['Events lost', formatCount(quality.lost), `${joined(formatCount(summary.events))} applied`],
  ]
  return h(
    'div',
    { class: 'tiles session-tiles' },
    ...tiles.map(([label, { value, unit }, second]) =>
      h(
        'section',
        { class: 'tile' },
        h('div', { class: 'tile-head' }, h('h3', {}, label)),
        h(
          'p',
          { class: 'tile-number' },
          h('span', { class: 'tile-value' }, value),
          h('span', { class: 'tile-unit' }, unit),
        ),
        h('span', { class: 'tile-second' }, second),
      ),
    ),
  )
}

/** What the content metadata says besides the title. */
function catalogueFacts(content: SessionSummary['content']): (string | undefined)[] {
  if (content === undefined) return []
  const { seriesTitle, seriesId, season, episode, genre, provider } = content
  const place = [
    season === undefined ? undefined : `S${season}`,
    episode === undefined ? undefined : `E${episode}`,
  ]
  const series = [seriesTitle ?? seriesId, ...place].filter((part) => part !== undefined)
  return [series.join(' '), genre, provider]
}

function partsTable(session: SessionResponse): HTMLElement {
  return h(
    'section',
    { class: 'panel' },
    h(
      'header',
      {},
      h('h2', {}, 'Parts'),
      h('p', {}, 'one for each content; the numbers above are the latest part’s'),
    ),
    h(
      'div',
      { class: 'scroll' },
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            ...['Part', 'Content', 'State', 'Start-up', 'Stalls', 'Stalled', 'Watched'].map(
              (label) => h('th', { scope: 'col' }, label),
            ),
          ),
        ),
        h(
          'tbody',
          {},
          ...session.parts.map((part) =>
            h(
              'tr',
              {},
              h('th', { scope: 'row' }, String(part.part + 1)),
              h('td', {}, titled(part.contentId ?? '–', part.content?.title)),
              h(
                'td',
                {},
                part.endReason === undefined ? part.state : `${part.state} (${part.endReason})`,
              ),
              h('td', {}, joined(formatDuration(part.startupMs))),
              h('td', {}, String(part.stallCount)),
              h('td', {}, joined(formatDuration(part.stallMs))),
              h('td', {}, joined(formatDuration(part.watchedMs))),
            ),
          ),
        ),
      ),
    ),
  )
}

function qualityPanel(session: SessionResponse): HTMLElement {
  const { quality, timelineFrames } = session
  const facts: [label: string, value: number][] = [
    ['Lost', quality.lost],
    ['Duplicates dropped', quality.duplicates],
    ['Late', quality.late],
    ['After their gap', quality.amended],
    ['After the close', quality.afterClose],
    ['Rejected', quality.rejected],
    ...Object.entries(quality.repairs).map(([name, count]): [string, number] => [
      `Repairs: ${name}`,
      count,
    ]),
    ['Frames', timelineFrames.total],
    ['Frames expired', timelineFrames.expired],
  ]
  return h(
    'section',
    { class: 'panel' },
    h('header', {}, h('h2', {}, 'Data quality')),
    h(
      'dl',
      { class: 'pairs' },
      ...facts.flatMap(([label, value]) => [
        h('dt', {}, label),
        h('dd', { class: value === 0 ? 'dim' : undefined }, joined(formatCount(value))),
      ]),
      h('dt', {}, 'Clock offset'),
      h(
        'dd',
        {},
        `${session.clockOffsetMs >= 0 ? '+' : '−'}${joined(formatDuration(Math.abs(session.clockOffsetMs)))}`,
      ),
      h('dt', {}, session.position === undefined ? 'From' : 'Log position'),
      h(
        'dd',
        {},
        session.position === undefined
          ? 'the history'
          : `${session.position.partition} : ${session.position.lastOffset}`,
      ),
    ),
  )
}

function contextPanel(session: SessionResponse, open: boolean): HTMLElement {
  return h(
    'section',
    { class: 'panel' },
    h('header', {}, h('h2', {}, 'Context')),
    h(
      'details',
      { open },
      h('summary', {}, 'as it stands in the log'),
      h('pre', { tabindex: 0 }, JSON.stringify(session.context, undefined, 2)),
    ),
  )
}
