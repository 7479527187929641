/** The process of a command line: its signals, its terminal and its exit code. */
import { readFileSync } from 'node:fs'
import { systemClock } from '../../shared/runtime/clock.ts'
import { runMain } from '../../shared/runtime/failure.ts'
import { type CommandLineOptions, runCommandLine } from './command-line.ts'
import { silentProgress, terminalProgress } from './progress.ts'

/** What is the process's own. */
type OfProcess = Pick<CommandLineOptions, 'commands' | 'environment' | 'output' | 'errors'>

/** Runs the command that the process was started with. */
export async function runCommandProcess(of: OfProcess): Promise<void> {
  const interrupted = new AbortController()
  // A command that is ended gives up what it has under way and its lease; a second signal ends it at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupted.abort())

  await runMain(async () => {
    process.exitCode = await runCommandLine(process.argv.slice(2), {
      ...of,
      readFile: (path) => readFileSync(path, 'utf8'),
      clock: systemClock,
      progress: process.stderr.isTTY ? terminalProgress(process.stderr) : silentProgress,
      signal: interrupted.signal,
    })
  })
}
