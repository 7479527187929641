/**
 * `npm run processor`: the processor on its own, its event log on Kafka. Any number of them share
 * the partitions. SIGTERM and SIGINT write what is held, save checkpoints and leave the group.
 */
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { runProcessor } from './run.ts'

await runProcessor(process.env, noFailpoints)
