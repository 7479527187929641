import { systemClock } from '../../shared/runtime/clock.ts'
import type { BrokerOutage } from './scenarios.ts'

/** Epoch ms at which the broker was gone and was back. */
export interface OutageSpan {
  readonly fromMs: number
  readonly toMs: number
}

export interface ScheduledOutage {
  /** When it was, once it is over. */
  readonly span: OutageSpan | undefined
  /** The broker runs again: at once, if the load ended before its time. */
  over(): Promise<void>
}

interface Broker {
  readonly isRunning: boolean
  pause(): void
  continue(): void
  kill(): Promise<void>
  start(): Promise<void>
}

/** Takes the broker away for the time of the outage, counted from now. */
export function scheduleOutage(outage: BrokerOutage | undefined, broker: Broker): ScheduledOutage {
  let span: OutageSpan | undefined
  let fromMs: number | undefined
  let work = Promise.resolve()
  const take = async () => {
    fromMs = systemClock.nowMs()
    if (outage?.how === 'kill') await broker.kill()
    else broker.pause()
  }
  const giveBack = async () => {
    if (fromMs === undefined || span !== undefined) return
    if (outage?.how === 'kill') await broker.start()
    else broker.continue()
    span = { fromMs, toMs: systemClock.nowMs() }
  }
  const then = (step: () => Promise<void>) => {
    work = work.then(step)
    // Told by `over`, which waits for it; nobody else does.
    work.catch(() => undefined)
  }
  const cancels =
    outage === undefined
      ? []
      : [
          systemClock.after(outage.fromMs, () => then(take)),
          systemClock.after(outage.fromMs + outage.forMs, () => then(giveBack)),
        ]
  return {
    get span() {
      return span
    },
    async over() {
      for (const cancel of cancels) cancel()
      then(giveBack)
      await work
    },
  }
}
