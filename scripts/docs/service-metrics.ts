/** Every metric that a service exposes: what `docs/metrics.md`, rules of alerts and dashboards may name. */
import { batchMetrics } from '../../batch/telemetry.ts'
import { poolMetrics } from '../../gateway/pool/telemetry.ts'
import { relayMetrics } from '../../gateway/relay/telemetry.ts'
import { gatewayMetrics } from '../../gateway/telemetry.ts'
import { alertMetrics } from '../../processor/alerts/telemetry.ts'
import { processorMetrics } from '../../processor/telemetry.ts'
import { contentMetrics } from '../../serving/content-telemetry.ts'
import { historyMetrics } from '../../serving/history/telemetry.ts'
import { playbackMetrics } from '../../serving/playback-telemetry.ts'
import { servingMetrics } from '../../serving/telemetry.ts'
import { kafkaLogMetrics } from '../../shared/log/kafka-telemetry.ts'
import { lmdbLogMetrics } from '../../shared/log/lmdb-telemetry.ts'
import { gcsObjectMetrics } from '../../shared/objects/gcs-telemetry.ts'
import { processMetrics } from '../../shared/runtime/process-telemetry.ts'
import { cassandraSpeedMetrics } from '../../shared/speed/cassandra-telemetry.ts'
import { lmdbSpeedMetrics } from '../../shared/speed/lmdb-telemetry.ts'
import { bigQueryMetrics } from '../../shared/warehouse/bigquery-telemetry.ts'
import { standaloneMetrics } from '../../standalone/telemetry.ts'
import type { ServiceMetrics } from './metrics-page.ts'

/** Tables stand beside one another: keys that two of them share are no names of metrics. */
export const serviceMetrics: readonly ServiceMetrics[] = [
  { title: 'Every process', metrics: [processMetrics] },
  { title: 'Gateway', metrics: [gatewayMetrics, poolMetrics] },
  { title: 'Relay', metrics: [relayMetrics] },
  { title: 'Processor', metrics: [processorMetrics, alertMetrics] },
  { title: 'Batch', metrics: [batchMetrics] },
  { title: 'Serving', metrics: [servingMetrics, playbackMetrics, historyMetrics, contentMetrics] },
  { title: 'Standalone', metrics: [standaloneMetrics] },
  { title: 'Event log on Kafka', metrics: [kafkaLogMetrics] },
  { title: 'Embedded event log', metrics: [lmdbLogMetrics] },
  { title: 'Speed store on Cassandra', metrics: [cassandraSpeedMetrics] },
  { title: 'Object store on GCS', metrics: [gcsObjectMetrics] },
  { title: 'Embedded speed store', metrics: [lmdbSpeedMetrics] },
  { title: 'Warehouse on BigQuery', metrics: [bigQueryMetrics] },
]
