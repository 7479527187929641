/**
 * `helm/backhaul/values.schema.json`: the shape of the chart's values. The maps of settings in it come
 * from the tables that docs/config.md comes from, so both say the same.
 */
import { batchConfig } from '../../../batch/config.ts'
import { gatewayConfig } from '../../../gateway/config.ts'
import { relayConfig } from '../../../gateway/relay/config.ts'
import { alertsConfig, processorConfig } from '../../../processor/config.ts'
import { servingConfig, servingStoresConfig } from '../../../serving/config.ts'
import { kafkaConfig } from '../../../shared/log/kafka-config.ts'
import { gcsConfig } from '../../../shared/objects/gcs-config.ts'
import { backhaulConfig } from '../../../shared/runtime/settings.ts'
import { cassandraConfig } from '../../../shared/speed/cassandra-config.ts'
import { bigQueryConfig } from '../../../shared/warehouse/bigquery-config.ts'
import {
  anyList,
  anyObject,
  boolean,
  integer,
  listOf,
  matching,
  object,
  oneOf,
  ref,
  text,
  textMap,
  type Schema,
} from './schema.ts'
import { settingsSchema } from './settings-schema.ts'

const MINUTE_S = 60
const DAY_S = 1_440 * MINUTE_S
/** The longest that a load balancer of Google's cloud lets a connection drain. */
const DRAIN_MAX_S = 3_600

const ADDRESS_IN_LIST = listOf(matching('^[^\\s:]+:[0-9]{1,5}$'), {
  minItems: 1,
  uniqueItems: true,
})

/** Roles with an account of their own. */
const ACCOUNTS = ['gateway', 'relay', 'processor', 'serving', 'batch', 'reconcile', 'operator']

const GATEWAY_SET_BY_CHART = [
  'GATEWAY_HOST',
  'GATEWAY_PORT',
  'GATEWAY_ADMIN_HOST',
  'GATEWAY_ADMIN_PORT',
]

/** Of ports that a relay does not have. */
const GATEWAY_TLS = [
  'GATEWAY_TLS_CERTIFICATE_FILE',
  'GATEWAY_TLS_KEY_FILE',
  'GATEWAY_ADMIN_TLS_CERTIFICATE_FILE',
  'GATEWAY_ADMIN_TLS_KEY_FILE',
]

const settings: Readonly<Record<string, Schema>> = {
  backhaulSettings: settingsSchema(
    [backhaulConfig],
    [
      'BACKHAUL_DATA_DIR',
      'BACKHAUL_AUTH_MODE',
      'BACKHAUL_AUTH_JWKS_URL',
      'BACKHAUL_AUTH_ISSUER',
      'BACKHAUL_AUTH_AUDIENCE',
      'BACKHAUL_AUTH_INGEST_KEYS',
    ],
  ),
  kafkaSettings: settingsSchema(
    [kafkaConfig],
    [
      'KAFKA_BROKERS',
      'KAFKA_SECURITY',
      'KAFKA_SASL_MECHANISM',
      'KAFKA_SASL_USER',
      'KAFKA_TLS_CA_FILE',
    ],
  ),
  cassandraSettings: settingsSchema(
    [cassandraConfig],
    [
      'CASSANDRA_CONTACT_POINTS',
      'CASSANDRA_LOCAL_DATA_CENTER',
      'CASSANDRA_KEYSPACE',
      'CASSANDRA_USER',
      'CASSANDRA_TLS',
      'CASSANDRA_TLS_CA_FILE',
    ],
  ),
  gcsSettings: settingsSchema([gcsConfig], ['GCS_BUCKET']),
  bigQuerySettings: settingsSchema(
    [bigQueryConfig],
    ['BIGQUERY_PROJECT', 'BIGQUERY_DATASET', 'BIGQUERY_LOCATION'],
  ),
  gatewaySettings: settingsSchema([gatewayConfig], GATEWAY_SET_BY_CHART),
  relaySettings: settingsSchema(
    [relayConfig, gatewayConfig],
    [
      'RELAY_FEEDS_PATH',
      'RELAY_ADMIN_HOST',
      'RELAY_ADMIN_PORT',
      ...GATEWAY_SET_BY_CHART,
      ...GATEWAY_TLS,
    ],
  ),
  processorSettings: settingsSchema(
    [processorConfig, alertsConfig],
    [
      'PROCESSOR_ADMIN_HOST',
      'PROCESSOR_ADMIN_PORT',
      'PROCESSOR_ALERTS_RULES_PATH',
      'PROCESSOR_ALERTS_WEBHOOK_URL',
    ],
  ),
  batchSettings: settingsSchema([batchConfig], []),
  servingSettings: settingsSchema(
    [servingConfig, servingStoresConfig],
    ['SERVING_HOST', 'SERVING_PORT', 'SERVING_SPEED_STORE'],
  ),
}

const shapes: Readonly<Record<string, Schema>> = {
  pod: object({
    annotations: textMap,
    priorityClassName: text,
    nodeSelector: textMap,
    tolerations: anyList,
    affinity: anyObject,
  }),
  resources: object({ requests: anyObject, limits: anyObject }),
  workStorage: object({ size: matching('^[0-9]+(Mi|Gi|Ti)$'), storageClassName: text }, ['size']),
  secretMounts: listOf(
    object({ secretName: text, mountPath: matching('^/etc/backhaul/') }, [
      'secretName',
      'mountPath',
    ]),
  ),
  secretKey: object({ existingSecret: text, key: text }),
  user: object({ user: text, existingSecret: text, passwordKey: text }),
  account: object({ name: text, googleServiceAccount: text, annotations: textMap }),
  service: object({ type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer'), annotations: textMap }),
  route: object({
    enabled: boolean,
    gateway: object({ name: text, namespace: text, sectionName: text }),
    hostnames: listOf(text),
    timeoutSeconds: integer(1, 2_147_483_647),
    securityPolicy: text,
  }),
}

/** What every role has. */
const run: Readonly<Record<string, Schema>> = {
  resources: ref('resources'),
  workStorage: ref('workStorage'),
  secretMounts: ref('secretMounts'),
  pod: ref('pod'),
}
const activeDeadlineSeconds = integer(MINUTE_S, 7 * DAY_S)
const backoffLimit = integer(0, 20)
const command: Readonly<Record<string, Schema>> = {
  ...run,
  enabled: boolean,
  activeDeadlineSeconds,
}
const job: Readonly<Record<string, Schema>> = { ...command, backoffLimit }
const scheduled: Readonly<Record<string, Schema>> = {
  schedule: matching('^(\\S+\\s+){4}\\S+$'),
  suspend: boolean,
  // One that may not be 10 seconds late may never begin.
  startingDeadlineSeconds: integer(10, DAY_S),
}
const cronJob: Readonly<Record<string, Schema>> = { ...job, ...scheduled }
/** A command by a schedule; what it does not say is the batch's. */
const scheduledCommand = object(
  {
    name: matching('^[a-z]([-a-z0-9]*[a-z0-9])?$'),
    args: listOf({ type: 'string', minLength: 1 }, { minItems: 1 }),
    ...scheduled,
    activeDeadlineSeconds,
    backoffLimit,
  },
  ['name', 'schedule', 'args'],
)

/** A user of its own for any of these roles. */
function usersOf(...roleNames: readonly string[]): Schema {
  return object(Object.fromEntries(roleNames.map((role) => [role, ref('user')])))
}

const stores: Readonly<Record<string, Schema>> = {
  keys: object(
    {
      existingSecret: { type: 'string', minLength: 1 },
      pseudonymKeysKey: text,
      sealKeyKey: text,
    },
    ['existingSecret'],
  ),
  auth: object({
    mode: oneOf('jwks', 'hs256'),
    jwksUrl: matching('^(https?://.+)?$'),
    issuer: text,
    audience: text,
    existingSecret: text,
    secretKey: text,
    ingestKeys: ref('secretKey'),
  }),
  ca: ref('secretKey'),
  kafka: object({
    brokers: ADDRESS_IN_LIST,
    security: oneOf('PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'),
    sasl: object({
      mechanism: oneOf('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'),
      user: text,
      existingSecret: text,
      passwordKey: text,
      roles: usersOf('gateway', 'relay', 'processor', 'serving', 'batch', 'operator'),
    }),
    ca: ref('secretKey'),
    settings: ref('kafkaSettings'),
  }),
  cassandra: object({
    contactPoints: ADDRESS_IN_LIST,
    localDataCenter: text,
    keyspace: matching('^[a-z][a-z0-9_]{0,47}$'),
    user: text,
    existingSecret: text,
    passwordKey: text,
    roles: usersOf('processor', 'serving', 'batch', 'schemaMigration'),
    tls: boolean,
    ca: ref('secretKey'),
    settings: ref('cassandraSettings'),
  }),
  objectStore: object({
    bucket: matching('^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$'),
    settings: ref('gcsSettings'),
  }),
  warehouse: object({
    store: oneOf('duckdb', 'bigquery'),
    project: matching('^([a-z0-9.:-]{1,100})?$'),
    dataset: matching('^[A-Za-z0-9_]{1,1000}$'),
    location: matching('^[A-Za-z0-9-]{0,50}$'),
    settings: ref('bigQuerySettings'),
  }),
}

const roles: Readonly<Record<string, Schema>> = {
  gateway: object({
    ...run,
    replicas: integer(1, 1_000),
    maxSurge: { type: ['string', 'integer'] },
    preStopSeconds: integer(0, 600),
    terminationGracePeriodSeconds: { type: ['integer', 'null'], minimum: 1, maximum: DRAIN_MAX_S },
    settings: {
      ...ref('gatewaySettings'),
      required: ['GATEWAY_PROCESSES', 'GATEWAY_MAX_LIFETIME_MS', 'GATEWAY_DRAIN_GRACE_MS'],
    },
    service: ref('service'),
    autoscaling: object({
      enabled: boolean,
      minReplicas: integer(1, 1_000),
      maxReplicas: integer(1, 1_000),
      cpuPercent: integer(1, 100),
      connections: object({ perPod: integer(0, 1_000_000), metric: text }),
      scaleDownAfterSeconds: integer(0, DRAIN_MAX_S),
    }),
    route: ref('route'),
  }),
  relay: object({
    ...run,
    enabled: boolean,
    replicas: integer(1, 1_000),
    feeds: object({ inline: anyList, existingConfigMap: text, existingSecret: text }),
    settings: { ...ref('relaySettings'), required: ['GATEWAY_APPEND_DEADLINE_MS'] },
  }),
  processor: object({
    ...run,
    replicas: integer(1, 1_000),
    settings: { ...ref('processorSettings'), required: ['PROCESSOR_STOP_GRACE_MS'] },
    alerts: object({
      rulesConfigMap: text,
      webhook: object({ existingSecret: text, urlKey: text, secretKey: text }),
    }),
    autoscaling: object({
      enabled: boolean,
      minReplicas: integer(1, 1_000),
      maxReplicas: integer(1, 1_000),
      lagRecords: integer(1, 1_000_000_000),
      view: matching('^([0-9a-f]{12})?$'),
      scaleDownAfterSeconds: integer(300, DRAIN_MAX_S),
    }),
  }),
  serving: object({
    ...run,
    replicas: integer(1, 1_000),
    preStopSeconds: integer(0, 600),
    settings: ref('servingSettings'),
    service: ref('service'),
    autoscaling: object({
      enabled: boolean,
      minReplicas: integer(1, 1_000),
      maxReplicas: integer(1, 1_000),
      cpuPercent: integer(1, 100),
    }),
    route: ref('route'),
  }),
  batch: object({
    ...cronJob,
    shards: integer(1, 256),
    schedules: listOf(scheduledCommand),
    settings: ref('batchSettings'),
  }),
  reconcile: object(cronJob),
  operator: object(command),
  schemaMigration: object(job),
  smoke: object({ ...run, waitSeconds: integer(1, 3_600), token: ref('secretKey') }),
}

const surroundings: Readonly<Record<string, Schema>> = {
  networkPolicy: object({
    enabled: boolean,
    ingress: object({ gateway: anyList, serving: anyList, metrics: anyList }),
    egress: object({ kafka: anyList, cassandra: anyList, googleApis: anyList, keySet: anyList }),
    moreEgress: { type: 'object', additionalProperties: anyList },
  }),
  monitoring: object({
    scraping: object({
      kind: oneOf('PodMonitoring', 'ServiceMonitor', ''),
      interval: matching('^[0-9]+(s|m)$'),
      labels: textMap,
      tls: anyObject,
    }),
    rules: object({
      kind: oneOf('Rules', 'PrometheusRule', ''),
      labels: textMap,
      runbooksUrl: matching('^(https?://.+)?$'),
    }),
    dashboards: object({ enabled: boolean, labels: textMap }),
  }),
}

export function valuesSchema(): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Values of the chart backhaul',
    ...object(
      {
        image: object(
          {
            repository: { type: 'string', minLength: 1 },
            tag: text,
            digest: matching('^(sha256:[0-9a-f]{64})?$'),
            pullPolicy: oneOf('Always', 'IfNotPresent', 'Never'),
            pullSecrets: listOf(text),
          },
          ['repository'],
        ),
        fullnameOverride: text,
        settings: { ...ref('backhaulSettings'), required: ['BACKHAUL_PARTITIONS'] },
        ...stores,
        serviceAccounts: object(Object.fromEntries(ACCOUNTS.map((role) => [role, ref('account')]))),
        ...roles,
        ...surroundings,
        // Helm hands it to a chart that is part of another.
        global: anyObject,
      },
      ['image', 'keys', 'kafka', 'cassandra', 'objectStore'],
    ),
    $defs: { ...shapes, ...settings },
  }
  return `${JSON.stringify(schema, undefined, 2)}\n`
}
