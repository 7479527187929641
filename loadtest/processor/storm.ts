/**
 * `node loadtest/processor/storm.ts --seconds N`: a group that members join and leave without rest for
 * so long, on a Kafka of its own. Prints one line of JSON; the exit code is 1 unless all was exact.
 */
import { parseArgs } from 'node:util'
import { startKafka } from '../../scripts/services/kafka.ts'
import { endMainProcesses } from '../../shared/http/testing/main-process.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { topicSpecs } from '../../shared/log/topics.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { KafkaMachine, VIEW } from './kafka-machine.ts'
import { LiveSessions } from './live-sessions.ts'
import { rebalanceStorm } from './rebalance-storm.ts'
import { StampWatch } from './stamp-watch.ts'

const PARTITIONS = 4
const VISITS_MIN = 3
const RETENTION = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 30 }

async function storm(forMs: number) {
  const kafka = await startKafka()
  const config = kafkaSettings({ brokers: kafka.bootstrap })
  const log = await openKafkaEventLog({ config, clock })
  const machine = new KafkaMachine({ brokers: kafka.bootstrap, partitions: PARTITIONS })
  try {
    await log.ensureTopics(topicSpecs({ partitions: PARTITIONS, ...RETENTION }))
    const sessions = new LiveSessions({ log, partitions: PARTITIONS, seed: 1 })
    const steady = await machine.start()
    const watch = new StampWatch(await machine.openSpeed(), VIEW)
    const visits = await rebalanceStorm(machine, steady, { visitsMin: VISITS_MIN, forMs })
    await sessions.stop()
    const rebuilds = await steady.metric('processor_rebuilds_total')
    const violations = await machine.violations(await machine.settle([steady]))
    await watch.stop()
    return { visits, unequal: violations.length, regressions: watch.regressions.length, rebuilds }
  } finally {
    await endMainProcesses()
    machine.remove()
    await log.close()
    await kafka.stop()
  }
}

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '120' } } })
const result = await storm(Number(values.seconds) * 1_000)
process.stdout.write(`${JSON.stringify(result)}\n`)
if (result.unequal + result.regressions + result.rebuilds > 0) process.exitCode = 1
