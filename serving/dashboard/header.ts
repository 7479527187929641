/** The header: what is split, how fresh and healthy the numbers are, and what is wrong. */
import type { LiveUpdate, StatusResponse } from '../api-schemas.ts'
import type { ApiProblem } from './api-client.ts'
import type { PageClock } from './browser-clock.ts'
import { h, setText } from './dom.ts'
import { formatClock, formatCount, formatDuration, joined } from './format.ts'
import type { ConnectionState } from './live-client.ts'
import type { Route } from './route.ts'
import { currentTheme, nextTheme, setTheme } from './theme.ts'

export interface Split {
  readonly id: string
  readonly label: string
  readonly by: readonly string[]
}

type Freshness = Pick<LiveUpdate, 'asOfMs' | 'nowMs' | 'stale'>

/** A problem that no update has contradicted for this long is over. */
const ERROR_SHOWN_MS = 5_000

export class Header {
  readonly element: HTMLElement
  readonly #clock: PageClock
  readonly #tabs: Map<string, HTMLAnchorElement>
  readonly #splitNav: HTMLElement
  readonly #windowChoice: HTMLElement
  readonly #dot = h('i', { class: 'dot', 'aria-hidden': 'true' })
  readonly #health = h('span', { class: 'health', role: 'status' }, 'connecting…')
  readonly #lag = h('span', { class: 'dim lag' })
  readonly #banner = h('div', { class: 'banner', role: 'alert', hidden: true })
  readonly #tokenForm = h('div', { class: 'banner token', hidden: true })
  readonly #problems = new Map<string, string>()
  #connection: ConnectionState = { kind: 'connecting' }
  #freshness: Freshness | undefined
  #status: StatusResponse | undefined
  #liveError: { readonly text: string; readonly atMs: number } | undefined

  constructor(splits: readonly Split[], windowChoice: HTMLElement, clock: PageClock) {
    this.#clock = clock
    this.#windowChoice = windowChoice
    this.#tabs = new Map(
      splits.map(({ id, label }) => [id, h('a', { href: `#/${id}`, class: 'tab' }, label)]),
    )
    this.#splitNav = h(
      'nav',
      { class: 'tabs', 'aria-label': 'Split by' },
      h('span', { class: 'dim' }, 'Split by'),
      ...this.#tabs.values(),
    )
    this.element = h(
      'header',
      { class: 'top' },
      h('a', { class: 'skip', href: '#content' }, 'Skip to content'),
      h(
        'div',
        { class: 'bar-top' },
        h('a', { class: 'brand', href: '#/' }, h('i', { 'aria-hidden': 'true' }), 'Backhaul'),
        this.#splitNav,
        windowChoice,
        h('div', { class: 'freshness' }, this.#dot, this.#health, this.#lag),
        themeButton(),
      ),
      this.#tokenForm,
      this.#banner,
    )
    clock.every(1_000, () => this.#draw())
  }

  showRoute(route: Route): void {
    this.#splitNav.hidden = route.page !== 'overview'
    this.#windowChoice.hidden = route.page !== 'overview'
  }

  showSplit(split: Split): void {
    for (const [id, tab] of this.#tabs) {
      if (id === split.id) tab.setAttribute('aria-current', 'page')
      else tab.removeAttribute('aria-current')
    }
  }

  showConnection(state: ConnectionState): void {
    this.#connection = state
    this.#draw()
  }

  showFreshness(freshness: Freshness): void {
    this.#liveError = undefined
    this.#freshness = freshness
    this.#draw()
  }

  showStatus(status: StatusResponse): void {
    this.#status = status
    this.#draw()
  }

  showError(code: string, detail: string): void {
    this.#liveError = { text: `${code}: ${detail}`, atMs: this.#clock.nowMs() }
    this.#draw()
  }

  showProblem(name: string, problem: ApiProblem): void {
    this.#problems.set(name, problem.status === 0 ? '' : `${problem.code}: ${problem.message}`)
    this.#draw()
  }

  clearProblem(name: string): void {
    if (this.#problems.delete(name)) this.#draw()
  }

  askForToken(detail: string, onToken: (token: string) => void): void {
    if (!this.#tokenForm.hidden) return
    const input = h('input', { type: 'password', id: 'token', autocomplete: 'off', required: true })
    const form = h(
      'form',
      {
        onsubmit: (event) => {
          event.preventDefault()
          this.#tokenForm.hidden = true
          onToken(input.value.trim())
        },
      },
      h(
        'label',
        { for: 'token' },
        'A token with the scope “read” is needed. ',
        h('small', {}, detail),
      ),
      input,
      h('button', { type: 'submit', class: 'plain' }, 'Use it in this tab'),
    )
    this.#tokenForm.replaceChildren(form)
    this.#tokenForm.hidden = false
  }

  #draw(): void {
    const { level, text } = this.#verdict()
    this.#dot.className = `dot dot-${level}`
    setText(this.#health, text)
    const lag = this.#status?.log.reduce((sum, partition) => sum + partition.lagRecords, 0)
    setText(this.#lag, lag === undefined ? '' : `lag ${joined(formatCount(lag))} records`)
    const problem = this.#problem()
    document.body.classList.toggle('stale', problem !== undefined)
    this.#banner.hidden = problem === undefined
    setText(this.#banner, problem ?? '')
  }

  #verdict(): { level: 'good' | 'warn' | 'bad' | 'off'; text: string } {
    if (this.#connection.kind === 'waiting') return { level: 'bad', text: 'disconnected' }
    if (this.#connection.kind === 'connecting') return { level: 'off', text: 'connecting…' }
    if (this.#liveError !== undefined) return { level: 'bad', text: 'store unavailable' }
    const freshness = this.#freshness
    if (freshness === undefined || freshness.asOfMs === null)
      return { level: 'off', text: 'waiting for data' }
    const behind = lateness(freshness.nowMs - freshness.asOfMs)
    return freshness.stale
      ? { level: 'warn', text: `stale: ${behind} behind` }
      : { level: 'good', text: `live, ${behind} behind` }
  }

  /** What a reader must know before trusting a number, in one sentence. */
  #problem(): string | undefined {
    const nowMs = this.#clock.nowMs()
    const asOfMs = this.#freshness?.asOfMs
    const shown =
      asOfMs === undefined || asOfMs === null ? '' : ` Numbers are as of ${formatClock(asOfMs)}.`
    if (this.#connection.kind === 'waiting') {
      const seconds = Math.max(0, Math.ceil((this.#connection.retryAtMs - nowMs) / 1_000))
      return `Connection to the server lost; trying again in ${seconds} s.${shown}`
    }
    if (this.#liveError !== undefined && nowMs - this.#liveError.atMs < ERROR_SHOWN_MS)
      return `${this.#liveError.text}.${shown}`
    if (this.#freshness?.stale === true)
      return `No fresh rows: the processor is behind, stopped, or cannot write.${shown}`
    const [problem] = [...this.#problems.values()].filter((text) => text !== '')
    return problem
  }
}

/** Tenths of a second: more would only flicker. */
function lateness(behindMs: number): string {
  return joined(formatDuration(Math.round(Math.max(0, behindMs) / 100) * 100)).replace(
    /\.(\d)0(?=\u202fs)/,
    '.$1',
  )
}

function themeButton(): HTMLElement {
  const label = () => `Theme: ${currentTheme()}`
  const button = h('button', { type: 'button', class: 'plain theme' }, label())
  button.addEventListener('click', () => {
    setTheme(nextTheme(currentTheme()))
    button.textContent = label()
  })
  return button
}
