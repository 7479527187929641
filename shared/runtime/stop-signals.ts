import type { Clock } from './clock.ts'
import type { Running } from './lifecycle.ts'

/** A stop that takes longer ends the process at once, as does a second signal. */
const STOP_DEADLINE_MS = 30_000
/** npm passes on a Ctrl-C that the terminal has sent already: a repeat this soon is the same one. */
const SAME_SIGNAL_MS = 1_000

export interface StopSignalOptions {
  readonly clock: Clock
  /** 30 s when not given. */
  readonly deadlineMs?: number
  /** Called once, with the signal's name, before the stop begins. */
  readonly announce: (signal: string) => void
  /** Called when everything has stopped. */
  readonly stopped: () => void
  /** Called when something did not stop cleanly. */
  readonly failed: (error: unknown) => void
}

/** Stops `running` on SIGINT or SIGTERM, then ends the process: 0 after a clean stop, else 1. */
export function stopOnSignals(running: Running, options: StopSignalOptions): void {
  const { clock, deadlineMs = STOP_DEADLINE_MS, announce, stopped, failed } = options
  let sinceMs: number | undefined
  const stop = (signal: string) => {
    const nowMs = clock.monotonicMs()
    if (sinceMs !== undefined) {
      if (nowMs - sinceMs > SAME_SIGNAL_MS) process.exit(1)
      return
    }
    sinceMs = nowMs
    announce(signal)
    clock.after(deadlineMs, () => process.exit(1))
    running.stop().then(
      () => {
        stopped()
        process.exit(0)
      },
      (error: unknown) => {
        failed(error)
        process.exit(1)
      },
    )
  }
  process.on('SIGINT', () => stop('SIGINT'))
  process.on('SIGTERM', () => stop('SIGTERM'))
}
