/** The process of a command line: its signals, its terminal and its exit code. */
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { systemClock } from '../../shared/runtime/clock.ts'
import { EXIT } from './command.ts'
import { type CommandLineOptions, runCommandLine } from './command-line.ts'
import { silentProgress, terminalProgress } from './progress.ts'

/** What is the process's own. */
type OfProcess = Pick<CommandLineOptions, 'commands' | 'environment' | 'output' | 'errors'>

/** Runs the command that the process was started with. */
export function runMain(of: OfProcess): void {
  const interrupted = new AbortController()
  // A command that is ended gives up what it has under way and its lease; a second signal ends it at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupted.abort())

  runCommandLine(process.argv.slice(2), {
    ...of,
    readFile: (path) => readFileSync(path, 'utf8'),
    clock: systemClock,
    progress: process.stderr.isTTY ? terminalProgress(process.stderr) : silentProgress,
    signal: interrupted.signal,
  }).then(
    (exitCode) => (process.exitCode = exitCode),
    (error: unknown) => {
      of.errors(inspect(error))
      process.exitCode = EXIT.failed
    },
  )
}
