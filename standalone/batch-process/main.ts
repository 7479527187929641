/**
 * The child of a standalone server that runs the batch. It gives way to everything else, ends with
 * its parent however that ends, and is stopped by it: a Ctrl-C reaches both, and the parent stops
 * in order.
 */
import { readFileSync } from 'node:fs'
import { systemClock } from '../../shared/runtime/clock.ts'
import { endWith, runMain } from '../../shared/runtime/failure.ts'
import type { FromBatch, ToBatch } from '../batch-messages.ts'
import { giveWay } from './priority.ts'
import { startBatchProcess } from './start.ts'

giveWay()
process.on('disconnect', () => process.exit(0))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)

const starting = startBatchProcess({
  environment: process.env,
  readFile: (path) => readFileSync(path, 'utf8'),
  clock: systemClock,
  send,
})

process.on('message', (message: ToBatch) => {
  starting
    .then(async (running) => {
      if (message.kind !== 'stop') return running.receive(message)
      await running.stop()
      process.exit(0)
    })
    .catch(endWith)
})
await runMain(async () => void (await starting))

/** A message that the parent can no longer take is for nobody. */
function send(message: FromBatch): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve()
    process.send(message, undefined, undefined, () => resolve())
  })
}
