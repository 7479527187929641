/**
 * Write transactions of LMDB whose action is run by this thread, while a thread of LMDB's own holds the
 * lock and waits for it. A process that exits meanwhile would wait for that thread for ever, neither alive
 * nor dead, and the lock would keep every other process from writing. So such an exit becomes a kill: from
 * a process that was killed LMDB takes the lock.
 */
import { writeSync } from 'node:fs'
import type { RootDatabase } from 'lmdb'
import { failureText } from '../runtime/failure.ts'

const STANDARD_ERROR = 2

let underway = 0

/** Runs `action` under the lock of the folder; resolves when what it wrote is on disk. */
export async function transact<Result>(
  database: RootDatabase<Buffer, Buffer>,
  action: () => Result,
): Promise<Result> {
  underway += 1
  try {
    return await database.transaction(action)
  } finally {
    underway -= 1
  }
}

// Node tells what was not caught only after the handlers of `exit`, which one that is killed does not reach.
process.on('uncaughtExceptionMonitor', (error) => {
  if (underway > 0) writeSync(STANDARD_ERROR, `${failureText(error)}\n`)
})
process.on('exit', () => {
  if (underway > 0) process.kill(process.pid, 'SIGKILL')
})
