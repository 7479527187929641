/** Open alerts, worst first; while there are none the panel is not there. */
import type { AlertsResponse } from '../api-schemas.ts'
import { h } from './dom.ts'
import { formatAge, joined } from './format.ts'

type Alert = AlertsResponse['open'][number]

const LINES_MAX = 8
const LEVELS: Readonly<Record<Alert['severity'], string>> = {
  critical: 'worse',
  warning: 'bad',
  info: '',
}

export class AlertsPanel {
  readonly element: HTMLElement
  readonly #list = h('ul', { class: 'alerts' })
  readonly #count = h('p', {})

  constructor() {
    this.element = h(
      'section',
      { class: 'panel', 'aria-label': 'Alerts', role: 'status', hidden: true },
      h('header', {}, h('h2', {}, 'Alerts'), this.#count),
      this.#list,
    )
  }

  draw({ open, openTotal, nowMs }: AlertsResponse): void {
    this.element.hidden = openTotal === 0
    this.#count.textContent = openTotal > LINES_MAX ? `${openTotal} open, the worst first` : 'open'
    this.#list.replaceChildren(...open.slice(0, LINES_MAX).map((alert) => line(alert, nowMs)))
  }
}

function line(alert: Alert, nowMs: number): HTMLElement {
  const hint = `${alert.rule}: ${alert.metric} was ${alert.value ?? 'undefined'}, bound ${alert.bound ?? 'none'}, ${alert.samples} samples`
  return h(
    'li',
    { title: hint },
    h('em', { class: LEVELS[alert.severity] }, alert.severity),
    h(
      'span',
      { class: 'name' },
      h('b', {}, alert.title),
      h('small', {}, Object.values(alert.key).join(' · ')),
    ),
    h('span', { class: 'num dim' }, joined(formatAge(nowMs - alert.minuteStartMs))),
  )
}
