/** A child of a pool over a log in memory, as `main.ts` starts one over Kafka. */
import { systemClock } from '../../shared/runtime/clock.ts'
import { servePool } from '../pool/child.ts'
import { startTestGateway } from './test-gateway.ts'

const port = Number(process.argv.at(-1))
if (process.argv.includes('--broken')) process.exit(1)
const gateway = await startTestGateway({ config: { port, drainSpreadMs: 100 }, sharesPort: true })
servePool({
  channel: process,
  gateway,
  registry: gateway.registry,
  clock: systemClock,
  stopped: (error) => process.exit(error === undefined ? 0 : 1),
})
