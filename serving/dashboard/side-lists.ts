/** Beside the charts: the most played contents, and the newest sessions with what went wrong. */
import type { SessionListItem, SessionListResponse, TopResponse } from '../api-schemas.ts'
import { h } from './dom.ts'
import { formatAge, formatCount, formatDuration, formatPercent, joined } from './format.ts'
import { sessionAddress } from './route.ts'
import { titled } from './titled.ts'

export class TopContents {
  readonly element: HTMLElement
  readonly #list = h('ol', { class: 'bars' })

  constructor() {
    this.element = h(
      'section',
      { class: 'panel' },
      h('header', {}, h('h2', {}, 'Top contents'), h('p', {}, 'plays, last 30 minutes')),
      this.#list,
    )
  }

  /** `titles` of contents by their id, as players named them; what the metadata says goes before. */
  draw(top: TopResponse, titles: ReadonlyMap<string, string>): void {
    const max = Math.max(1, ...top.items.map((item) => item.value))
    this.#list.replaceChildren(
      ...top.items.map(({ key, title, value, metrics }) => {
        const contentId = key['content'] ?? ''
        const bar = h('i', { class: 'bar' })
        bar.style.width = `${(value / max) * 100}%`
        return h(
          'li',
          {},
          bar,
          titled(contentId, title ?? titles.get(contentId)),
          h('span', { class: 'num' }, joined(formatCount(value))),
          h(
            'span',
            { class: 'num dim', title: 'Stalled time' },
            metrics.lowSample ? '–' : joined(formatPercent(metrics.stalledTimeRatio)),
          ),
        )
      }),
    )
    if (top.items.length === 0)
      this.#list.replaceChildren(h('li', { class: 'none' }, 'No plays yet'))
  }
}

export class RecentSessions {
  readonly element: HTMLElement
  readonly #list = h('ul', { class: 'sessions' })

  constructor() {
    this.element = h(
      'section',
      { class: 'panel grow' },
      h('header', {}, h('h2', {}, 'Recent sessions'), h('p', {}, 'newest first, by age')),
      this.#list,
    )
  }

  draw(response: SessionListResponse): void {
    const focused = document.activeElement?.getAttribute('href')
    this.#list.replaceChildren(...response.sessions.map((item) => line(item, response.nowMs)))
    if (response.sessions.length === 0)
      this.#list.replaceChildren(h('li', { class: 'none' }, 'No sessions yet'))
    if (focused?.startsWith('#/session/') === true)
      for (const link of this.#list.querySelectorAll('a'))
        if (link.getAttribute('href') === focused) link.focus({ preventScroll: true })
  }
}

function line(item: SessionListItem, nowMs: number): HTMLElement {
  return h(
    'li',
    {},
    h(
      'a',
      { href: sessionAddress(item.sessionId), title: item.sessionId },
      stateBadge(item.state),
      h(
        'span',
        { class: 'name' },
        h('b', {}, item.contentTitle ?? item.contentId ?? 'unknown content'),
        h('small', {}, [item.cdn, item.deviceType, item.country].filter(Boolean).join(' · ')),
      ),
      h('span', { class: 'troubles' }, ...troubles(item)),
      h('span', { class: 'num dim' }, joined(formatAge(nowMs - item.firstReceivedAtMs))),
    ),
  )
}

/** What went wrong in a session, in few words; its start-up time when nothing did. */
function troubles(item: SessionListItem): HTMLElement[] {
  const found: HTMLElement[] = []
  if (item.failed === 1) found.push(h('em', { class: 'worse' }, 'failed'))
  if (item.stallCount > 0)
    found.push(
      h('em', { class: 'bad' }, `${item.stallCount}× ${joined(formatDuration(item.stallMs))}`),
    )
  if (item.lost > 0) found.push(h('em', { class: 'bad' }, `${item.lost} lost`))
  if (found.length === 0 && item.startupMs !== undefined)
    found.push(h('span', { class: 'dim' }, joined(formatDuration(item.startupMs))))
  return found
}

export function stateBadge(state: string): HTMLElement {
  return h('span', { class: `state state-${state}` }, h('i', { 'aria-hidden': 'true' }), state)
}
