/**
 * One run of the batch in a process of its own: `node run-once.ts <folder> <now, ms>
 * [<largest file, bytes>]`. Prints the outcome, or the code of the error that it ended with.
 */
import { execFileSync } from 'node:child_process'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import { BatchMachine } from './batch-machine.ts'

const [folder = '', nowMs = '', fileMaxBytes] = process.argv.slice(2)
try {
  const machine = await BatchMachine.open({ folder, clock: new ManualClock(Number(nowMs)) })
  // The stores are open: what the run itself writes is limited.
  if (fileMaxBytes !== undefined)
    execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${fileMaxBytes}`])
  const { outcome } = await machine.batch().run()
  await machine.closeStores()
  process.stdout.write(`${outcome}\n`)
} catch (error) {
  if (!(error instanceof BackhaulError)) throw error
  process.stdout.write(`${error.code}\n`)
}
