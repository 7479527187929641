/**
 * `npx backhaul batch run` as `cli/main.ts` runs it, but for one thing: when the run has written the first
 * of its facts it asks the warehouse what takes days to answer. Says `slow` by then.
 */
import { ArmedFailpoints } from '../../../shared/runtime/failpoints.ts'
import { type Command, EXIT } from '../../cli/command.ts'
import { batchRun } from '../../cli/commands/batch-run.ts'
import { openBatch } from '../../cli/open-batch.ts'
import { runCommandProcess } from '../../cli/command-process.ts'

const SLOW = { sql: 'SELECT SUM(r.range) AS n FROM range(1000000000000000) AS r' }
const LIMITS = { maxRows: 1, timeoutMs: 2 ** 31 - 1 }

const slowRun: Command = {
  ...batchRun,
  async run({ stores, clock, signal }) {
    const failpoints = new ArmedFailpoints()
    failpoints.arm('batch.afterSomeFacts', async () => {
      const warehouse = await stores.warehouse()
      const session = await warehouse.open()
      const answered = session.query(SLOW, LIMITS)
      console.log('slow')
      await answered
    })
    const batch = await openBatch({ stores, clock, failpoints })
    const { outcome } = await batch.run({ signal })
    return { exitCode: EXIT.done, json: { outcome }, text: outcome }
  },
}

await runCommandProcess({
  commands: [slowRun],
  environment: process.env,
  output: (text) => console.log(text),
  errors: (text) => console.error(text),
})
