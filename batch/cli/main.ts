/** `npx backhaul`: the operators' commands, beside a running server or without one. */
import { readFileSync } from 'node:fs'
import { systemClock } from '../../shared/runtime/clock.ts'
import { runMain } from '../../shared/runtime/failure.ts'
import { runCommandLine } from './command-line.ts'
import { commands } from './commands.ts'
import { silentProgress, terminalProgress } from './progress.ts'

const interrupted = new AbortController()
// A command that is ended between two steps gives its lease up; a second signal ends it at once.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

await runMain(async () => {
  process.exitCode = await runCommandLine(process.argv.slice(2), {
    commands,
    environment: process.env,
    readFile: (path) => readFileSync(path, 'utf8'),
    clock: systemClock,
    progress: process.stderr.isTTY ? terminalProgress(process.stderr) : silentProgress,
    signal: interrupted.signal,
    output: (text) => console.log(text),
    errors: (text) => console.error(text),
  })
})
