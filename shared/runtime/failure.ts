/**
 * What ends a process, as the process tells it. Libraries hang the request on their errors, with the
 * credentials it bore, and Node would print all of it: so nothing of an error is told but its texts.
 */
import { stdSerializers } from 'pino'
import { BackhaulError } from './errors.ts'

/** One of ours in one sentence, with what to do; of any other where it came from, and its causes. */
export function failureText(error: unknown): string {
  if (error instanceof BackhaulError) return `${error.message}. ${error.spec.action}`
  if (error instanceof Error) return stdSerializers.err(error).stack
  return String(error)
}

/** Runs a process. What `main` throws, and what nobody catches later on, is told, and ends it with 1. */
export async function runMain(main: () => Promise<void>): Promise<void> {
  process.on('uncaughtException', endWith)
  try {
    await main()
  } catch (error) {
    endWith(error)
  }
}

export function endWith(error: unknown): never {
  process.stderr.write(`${failureText(error)}\n`)
  process.exit(1)
}
