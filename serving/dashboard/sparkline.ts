/** A small line without axes: the shape of the last half hour beside a number. */
import { s } from './dom.ts'

const WIDTH = 120
const HEIGHT = 26

export class Sparkline {
  readonly element: SVGSVGElement
  readonly #line = s('path', { class: 'spark-line' })
  readonly #area = s('path', { class: 'spark-area' })

  constructor() {
    this.element = s(
      'svg',
      {
        class: 'spark',
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: 'none',
        'aria-hidden': 'true',
      },
      this.#area,
      this.#line,
    )
  }

  draw(values: readonly (number | null)[], leastMax: number): void {
    const known = values.filter((value) => value !== null)
    const max = Math.max(leastMax, ...known)
    const step = WIDTH / Math.max(1, values.length - 1)
    let line = ''
    let area = ''
    let startX: number | undefined
    let lastX = 0
    const close = () => {
      if (startX !== undefined)
        area += `L${lastX.toFixed(1)} ${HEIGHT}L${startX.toFixed(1)} ${HEIGHT}Z`
      startX = undefined
    }
    for (const [index, value] of values.entries()) {
      if (value === null) {
        close()
        continue
      }
      const x = index * step
      const y = HEIGHT - 1 - (value / max) * (HEIGHT - 3)
      const point = `${startX === undefined ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`
      line += point
      area += point
      startX ??= x
      lastX = x
    }
    close()
    this.#line.setAttribute('d', line)
    this.#area.setAttribute('d', area)
  }
}
