/**
 * `npm run docs`: writes every page and file that is derived from the code. With `--check` nothing
 * is written and a stale file is a failure that names it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { batchConfig } from '../batch/config.ts'
import { cliErrors } from '../batch/cli/errors.ts'
import { batchErrors } from '../batch/errors.ts'
import { initErrors } from '../batch/init-gcp/errors.ts'
import * as cliLimits from '../batch/cli/limits.ts'
import * as batchLimits from '../batch/limits.ts'
import { gatewayConfig } from '../gateway/config.ts'
import { gatewayErrors } from '../gateway/errors.ts'
import { relayConfig } from '../gateway/relay/config.ts'
import { relayErrors } from '../gateway/relay/errors.ts'
import * as relayLimits from '../gateway/relay/limits.ts'
import * as gatewayLimits from '../gateway/limits.ts'
import * as alertLimits from '../processor/alerts/limits.ts'
import { alertsConfig, processorConfig, speedStoreConfig } from '../processor/config.ts'
import { processorErrors } from '../processor/errors.ts'
import * as processorLimits from '../processor/limits.ts'
import {
  acceptancePage,
  loadTable,
  sidesTable,
  stageTable,
  withSection,
} from '../loadtest/acceptance/pages.ts'
import { openApiDocument } from '../serving/openapi.ts'
import { servingConfig, servingStoresConfig } from '../serving/config.ts'
import { servingErrors } from '../serving/errors.ts'
import * as servingLimits from '../serving/limits.ts'
import * as clientLimits from '../client/limits.ts'
import { alertErrors } from '../shared/alerts/alert-errors.ts'
import * as ruleLimits from '../shared/alerts/limits.ts'
import { authErrors } from '../shared/auth/auth-errors.ts'
import * as authLimits from '../shared/auth/limits.ts'
import { contentErrors } from '../shared/content/content-errors.ts'
import * as contentLimits from '../shared/content/limits.ts'
import { eventErrors } from '../shared/events/event-errors.ts'
import { identityErrors } from '../shared/events/identity.ts'
import * as eventLimits from '../shared/events/limits.ts'
import { eventJsonSchema, eventTables } from '../shared/events/schema-docs.ts'
import { eventLogConfig } from '../shared/log/event-log-config.ts'
import { kafkaConfig } from '../shared/log/kafka-config.ts'
import * as kafkaLimits from '../shared/kafka/limits.ts'
import * as logLimits from '../shared/log/lmdb-limits.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import { rejectErrors } from '../shared/log/reject-record.ts'
import { erasureErrors } from '../shared/objects/erasures.ts'
import { gcsConfig, objectStoreConfig } from '../shared/objects/gcs-config.ts'
import * as gcsLimits from '../shared/objects/gcs-limits.ts'
import { objectErrors } from '../shared/objects/object-errors.ts'
import * as foldLimits from '../shared/qoe/fold.ts'
import { configErrors } from '../shared/runtime/config.ts'
import { backhaulConfig } from '../shared/runtime/settings.ts'
import { cassandraConfig } from '../shared/speed/cassandra-config.ts'
import * as cassandraLimits from '../shared/speed/cassandra-limits.ts'
import * as speedLimits from '../shared/speed/lmdb-limits.ts'
import { speedErrors } from '../shared/speed/speed-errors.ts'
import * as viewLimits from '../shared/views/limits.ts'
import { viewErrors } from '../shared/views/view-errors.ts'
import { bigQueryConfig, warehouseConfig } from '../shared/warehouse/bigquery-config.ts'
import * as bigQueryLimits from '../shared/warehouse/bigquery-limits.ts'
import * as warehouseLimits from '../shared/warehouse/duckdb-limits.ts'
import { warehouseErrors } from '../shared/warehouse/warehouse-errors.ts'
import { scheduleConfig } from '../standalone/config.ts'
import { standaloneErrors } from '../standalone/errors.ts'
import * as standaloneLimits from '../standalone/limits.ts'
import { dataQuality } from './dashboards/data-quality.ts'
import { dashboardJson } from './dashboards/grafana.ts'
import { playbackQuality } from './dashboards/playback-quality.ts'
import { system } from './dashboards/system.ts'
import { defaultView } from './docs/chart/default-view.ts'
import { valuesPage } from './docs/chart/values-page.ts'
import { valuesSchema } from './docs/chart/values-schema.ts'
import { clientTypes } from './docs/client-types.ts'
import { configPage, environmentExample } from './docs/config-page.ts'
import { errorsPage } from './docs/errors-page.ts'
import { limitsPage, type ServiceLimits } from './docs/limits-page.ts'
import { metricsPage } from './docs/metrics-page.ts'
import { serviceMetrics } from './docs/service-metrics.ts'
import { figuresOf } from './sizing/figures.ts'
import { sizingPage } from './sizing/page.ts'

const root = join(import.meta.dirname, '..')
const settings = [
  { title: 'All services', spec: backhaulConfig },
  { title: 'Gateway', spec: gatewayConfig },
  { title: 'Relay', spec: relayConfig },
  { title: 'Processor', spec: processorConfig },
  { title: 'Processor: alerts', spec: alertsConfig },
  { title: 'Processor on its own', spec: speedStoreConfig },
  { title: 'Batch', spec: batchConfig },
  { title: 'Serving', spec: servingConfig },
  { title: 'Serving on its own', spec: servingStoresConfig },
  { title: 'Standalone: the schedule of the batch', spec: scheduleConfig },
  { title: 'Event log of the commands', spec: eventLogConfig },
  { title: 'Event log on Kafka', spec: kafkaConfig },
  { title: 'Speed store on Cassandra', spec: cassandraConfig },
  { title: 'Object store', spec: objectStoreConfig },
  { title: 'Object store on GCS', spec: gcsConfig },
  { title: 'Warehouse', spec: warehouseConfig },
  { title: 'Warehouse on BigQuery', spec: bigQueryConfig },
]

const files: Readonly<Record<string, () => string>> = {
  'docs/config.md': () => configPage(settings),
  '.env.example': () => environmentExample(settings),
  'docs/errors.md': () =>
    errorsPage([
      {
        title: 'Events and frames',
        catalogue: {
          ...eventErrors.catalogue,
          ...identityErrors.catalogue,
          ...rejectErrors.catalogue,
        },
      },
      { title: 'Gateway', catalogue: gatewayErrors.catalogue },
      { title: 'Relay', catalogue: relayErrors.catalogue },
      { title: 'Content metadata', catalogue: contentErrors.catalogue },
      { title: 'Tokens', catalogue: authErrors.catalogue },
      {
        title: 'Processor and alert rules',
        catalogue: { ...processorErrors.catalogue, ...alertErrors.catalogue },
      },
      { title: 'Views', catalogue: viewErrors.catalogue },
      { title: 'Batch', catalogue: batchErrors.catalogue },
      {
        title: 'Command line',
        catalogue: { ...cliErrors.catalogue, ...initErrors.catalogue },
      },
      { title: 'Serving', catalogue: servingErrors.catalogue },
      { title: 'Event log', catalogue: logErrors.catalogue },
      { title: 'Speed store', catalogue: speedErrors.catalogue },
      {
        title: 'Object store',
        catalogue: { ...objectErrors.catalogue, ...erasureErrors.catalogue },
      },
      { title: 'Warehouse', catalogue: warehouseErrors.catalogue },
      { title: 'Start', catalogue: { ...configErrors.catalogue, ...standaloneErrors.catalogue } },
    ]),
  'docs/limits.md': () =>
    limitsPage([
      limitsOf('Gateway', gatewayLimits, 'gateway/limits.ts'),
      limitsOf('Relay', relayLimits, 'gateway/relay/limits.ts'),
      limitsOf('Processor', processorLimits, 'processor/limits.ts'),
      limitsOf('Views', viewLimits, 'shared/views/limits.ts'),
      limitsOf('Alert rules', ruleLimits, 'shared/alerts/limits.ts'),
      limitsOf('Evaluator of alert rules', alertLimits, 'processor/alerts/limits.ts'),
      limitsOf('Fold (defaults; operators set some of them)', foldLimits, 'shared/qoe/fold.ts'),
      limitsOf('Batch', batchLimits, 'batch/limits.ts'),
      limitsOf('Command line', cliLimits, 'batch/cli/limits.ts'),
      limitsOf('Serving', servingLimits, 'serving/limits.ts'),
      limitsOf('Standalone', standaloneLimits, 'standalone/limits.ts'),
      limitsOf('Client', clientLimits, 'client/limits.ts'),
      limitsOf('Frames, CMCD and identity', eventLimits, 'shared/events/limits.ts'),
      limitsOf('Content metadata', contentLimits, 'shared/content/limits.ts'),
      limitsOf('Tokens', authLimits, 'shared/auth/limits.ts'),
      limitsOf('Event log on Kafka', kafkaLimits, 'shared/kafka/limits.ts'),
      limitsOf('Embedded event log', logLimits, 'shared/log/lmdb-limits.ts'),
      limitsOf('Speed store on Cassandra', cassandraLimits, 'shared/speed/cassandra-limits.ts'),
      limitsOf('Object store on GCS', gcsLimits, 'shared/objects/gcs-limits.ts'),
      limitsOf('Embedded speed store', speedLimits, 'shared/speed/lmdb-limits.ts'),
      limitsOf('Embedded warehouse', warehouseLimits, 'shared/warehouse/duckdb-limits.ts'),
      limitsOf('Warehouse on BigQuery', bigQueryLimits, 'shared/warehouse/bigquery-limits.ts'),
    ]),
  'docs/metrics.md': () => metricsPage(serviceMetrics),
  'helm/backhaul/dashboards/system.json': () => dashboardJson(system),
  'helm/backhaul/dashboards/playback-quality.json': () => dashboardJson(playbackQuality),
  'helm/backhaul/dashboards/data-quality.json': () => dashboardJson(dataQuality),
  'docs/schema.json': () => `${JSON.stringify(eventJsonSchema(), undefined, 2)}\n`,
  'docs/events.md': () => eventTables(),
  'docs/openapi.json': () => `${JSON.stringify(openApiDocument(), undefined, 2)}\n`,
  'client/protocol-types.ts': () => clientTypes(),
  'docs/acceptance.md': () => acceptancePage(),
  'docs/sizing.md': () => sizingPage(figuresOf()),
  'helm/backhaul/README.md': () => valuesPage(written('helm/backhaul/values.yaml')),
  'helm/backhaul/values.schema.json': () => valuesSchema(),
  'helm/backhaul/files/default-view.json': () => defaultView(),
  'README.md': () => withSection(written('README.md'), 'load', loadTable()),
  'docs/performance.md': () => {
    const staged = withSection(written('docs/performance.md'), 'stages', stageTable())
    return withSection(staged, 'sides', sidesTable())
  },
}

const checkOnly = process.argv.includes('--check')
let stale = 0
for (const [name, generate] of Object.entries(files)) {
  const path = join(root, name)
  const wanted = generate()
  const present = readIfPresent(path)
  if (present === wanted) continue
  stale += 1
  if (checkOnly) console.log(`${name} is stale: run npm run docs`)
  else {
    writeFileSync(path, wanted)
    console.log(`wrote ${name}`)
  }
}
process.exitCode = checkOnly && stale > 0 ? 1 : 0

/** A page that is written by hand but for its sections. */
function written(name: string): string {
  return readFileSync(join(root, name), 'utf8')
}

function limitsOf(title: string, values: object, path: string): ServiceLimits {
  return { title, values: { ...values }, source: readFileSync(join(root, path), 'utf8') }
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
