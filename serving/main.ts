/**
 * `npm run serving`: the API and the dashboard on their own, over the log on Kafka, the rows of
 * processors and the tables of a batch. Any number run beside one another.
 */
import { readFileSync } from 'node:fs'
import { kafkaConfig } from '../shared/log/kafka-config.ts'
import { readObjectStoreSettings } from '../shared/objects/open-object-store.ts'
import { systemClock as clock } from '../shared/runtime/clock.ts'
import { readConfig, refuseUnknownSettings } from '../shared/runtime/config.ts'
import { runMain } from '../shared/runtime/failure.ts'
import { reportStart } from '../shared/runtime/process-telemetry.ts'
import { systemRandom as random } from '../shared/runtime/random.ts'
import { backhaulConfig } from '../shared/runtime/settings.ts'
import { stopOnSignals } from '../shared/runtime/stop-signals.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { cassandraConfig } from '../shared/speed/cassandra-config.ts'
import { readWarehouseSettings } from '../shared/warehouse/open-warehouse.ts'
import { servingConfig, servingStoresConfig } from './config.ts'
import { ServingService } from './service.ts'

const environment = process.env

async function main(): Promise<void> {
  const readFile = (path: string) => readFileSync(path, 'utf8')
  const stores = readConfig(servingStoresConfig, environment, readFile)
  const objects = readObjectStoreSettings(environment, readFile)
  const warehouse = readWarehouseSettings(environment, readFile, objects.gcs)
  const cassandraSpecs = stores.speedStore === 'cassandra' ? [cassandraConfig] : []
  refuseUnknownSettings(
    [
      backhaulConfig,
      servingConfig,
      servingStoresConfig,
      kafkaConfig,
      ...objects.specs,
      ...warehouse.specs,
      ...cassandraSpecs,
    ],
    environment,
  )
  const backhaul = readConfig(backhaulConfig, environment, readFile)
  const telemetry = createTelemetryBase(backhaul.logLevel)
  reportStart(telemetry, clock)
  const service = new ServingService({
    backhaul,
    config: readConfig(servingConfig, environment, readFile),
    stores,
    kafka: readConfig(kafkaConfig, environment, readFile),
    cassandra:
      stores.speedStore === 'cassandra'
        ? readConfig(cassandraConfig, environment, readFile)
        : undefined,
    gcs: objects.gcs,
    bigQuery: warehouse.bigQuery,
    clock,
    random,
    telemetry,
  })
  const { log } = telemetry
  stopOnSignals(service, {
    clock,
    announce: (signal) => log.info({ signal }, 'stopping'),
    stopped: () => log.info('stopped'),
    failed: (error) => log.error({ err: error }, 'not stopped cleanly'),
  })
  await service.start()
}

await runMain(main)
