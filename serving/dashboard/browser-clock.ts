/** The reader's clock and timers: only this file of the page touches them. */
import type { Clock } from '../../shared/runtime/clock.ts'

export type PageClock = Pick<Clock, 'nowMs' | 'after' | 'every'>

export const browserClock: PageClock = {
  // oxlint-disable-next-line eslint/no-restricted-properties -- the page's one look at the clock
  nowMs: () => Date.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
  every(periodMs, task) {
    const timer = setInterval(task, periodMs)
    return () => clearInterval(timer)
  },
}
