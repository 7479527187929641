/** `npm start`: everything on one machine. Prints where it listens and what to try next. */
import { BackhaulError } from '../shared/runtime/errors.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { systemRandom } from '../shared/runtime/random.ts'
import { startStandalone } from './start.ts'
import { welcomeText } from './welcome.ts'

/** A stop that takes longer than this ends the process at once, as does a second signal. */
const STOP_DEADLINE_MS = 30_000
/** npm passes on a Ctrl-C that the terminal has sent already: a repeat this soon is the same one. */
const SAME_SIGNAL_MS = 1_000

async function main(): Promise<void> {
  const running = await startStandalone({
    environment: process.env,
    clock: systemClock,
    random: systemRandom,
  })
  let stoppingSinceMs: number | undefined
  const stop = (signal: string) => {
    const nowMs = systemClock.monotonicMs()
    if (stoppingSinceMs !== undefined) {
      if (nowMs - stoppingSinceMs > SAME_SIGNAL_MS) process.exit(1)
      return
    }
    stoppingSinceMs = nowMs
    console.log(`\n${signal}: draining players and closing the stores …`)
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref()
    running.stop().then(
      () => {
        console.log('Stopped.')
        process.exit(0)
      },
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.on('SIGINT', () => stop('SIGINT'))
  process.on('SIGTERM', () => stop('SIGTERM'))
  console.log(welcomeText(running))
}

main().catch((error: unknown) => {
  if (error instanceof BackhaulError) console.error(`${error.message}. ${error.spec.action}`)
  else console.error(error)
  process.exit(1)
})
