/** How far back the charts and the table of keys reach; kept as long as the tab. */
import { h } from './dom.ts'

export interface WindowLength {
  readonly label: string
  readonly minutes: number
}

const WINDOW_KEY = 'backhaul.window'
/** Two hours reach behind the batch-complete boundary, when the batch runs often. */
const LENGTHS: readonly WindowLength[] = [
  { label: '30 min', minutes: 30 },
  { label: '2 h', minutes: 120 },
]
const SHORTEST = LENGTHS[0] as WindowLength

export class WindowChoice {
  readonly element: HTMLElement
  readonly #buttons: ReadonlyMap<WindowLength, HTMLButtonElement>
  readonly #onChoice: () => void
  #chosen: WindowLength

  constructor(onChoice: () => void) {
    this.#onChoice = onChoice
    const kept = sessionStorage.getItem(WINDOW_KEY)
    this.#chosen = LENGTHS.find(({ label }) => label === kept) ?? SHORTEST
    this.#buttons = new Map(
      LENGTHS.map((length) => [
        length,
        h(
          'button',
          { type: 'button', class: 'tab', onclick: () => this.#choose(length) },
          length.label,
        ),
      ]),
    )
    this.element = h(
      'div',
      { class: 'tabs', role: 'group', 'aria-label': 'Window' },
      h('span', { class: 'dim' }, 'Last'),
      ...this.#buttons.values(),
    )
    this.#mark()
  }

  get minutes(): number {
    return this.#chosen.minutes
  }

  /** Whether the tiles speak of the same window, which is always the shortest. */
  get isShortest(): boolean {
    return this.#chosen === SHORTEST
  }

  #choose(length: WindowLength): void {
    sessionStorage.setItem(WINDOW_KEY, length.label)
    this.#chosen = length
    this.#mark()
    this.#onChoice()
  }

  #mark(): void {
    for (const [length, button] of this.#buttons)
      button.setAttribute('aria-pressed', String(length === this.#chosen))
  }
}
