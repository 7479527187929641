/** `npm start`: everything on one machine. Prints where it listens and what to try next. */
import { failureText, runMain } from '../shared/runtime/failure.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { systemRandom } from '../shared/runtime/random.ts'
import { stopOnSignals } from '../shared/runtime/stop-signals.ts'
import { settingsOfFlags, USAGE } from './arguments.ts'
import { startStandalone } from './start.ts'
import { welcomeText } from './welcome.ts'

async function main(): Promise<void> {
  const flags = settingsOfFlags(process.argv.slice(2))
  if (flags === undefined) return console.log(USAGE)
  const running = await startStandalone({
    environment: { ...process.env, ...flags },
    clock: systemClock,
    random: systemRandom,
  })
  stopOnSignals(running, {
    clock: systemClock,
    announce: (signal) => console.log(`\n${signal}: draining players and closing the stores …`),
    stopped: () => console.log('Stopped.'),
    failed: (error) => console.error(failureText(error)),
  })
  console.log(welcomeText(running))
}

await runMain(main)
