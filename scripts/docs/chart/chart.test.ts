/** What the chart takes for granted of the product, and the product may change. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { batchConfig } from '../../../batch/config.ts'
import { gatewayConfig } from '../../../gateway/config.ts'
import { POOL_STOP_MARGIN_MS } from '../../../gateway/limits.ts'
import { relayConfig } from '../../../gateway/relay/config.ts'
import { STOP_MARGIN_MS as RELAY_STOP_MARGIN_MS } from '../../../gateway/relay/limits.ts'
import { processorConfig } from '../../../processor/config.ts'
import { STOP_MARGIN_MS as PROCESSOR_STOP_MARGIN_MS } from '../../../processor/limits.ts'
import { servingConfig } from '../../../serving/config.ts'
import { readConfig } from '../../../shared/runtime/config.ts'
import { valuesPage } from './values-page.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const CHART = join(ROOT, 'helm', 'backhaul')
const TEMPLATES = join(CHART, 'templates')

const read = (...path: readonly string[]) => readFileSync(join(...path), 'utf8')

/** A row of docs/config.md. */
const SETTING = /^\| `([A-Z0-9_]+)` \| (.*?) \|/gm
const VARIABLE = /^\s*(?:- )?name: ([A-Z][A-Z0-9]*_[A-Z0-9_]+)$/gm

/** Every variable that a process understands. */
function knownVariables(): Set<string> {
  const rows = [...read(ROOT, 'docs', 'config.md').matchAll(SETTING)]
  const isSecret = (type: string) => type.endsWith('(secret)')
  return new Set(
    rows.flatMap(([, name = '', type = '']) => (isSecret(type) ? [name, `${name}_FILE`] : [name])),
  )
}

function templates(): string[] {
  return readdirSync(TEMPLATES, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /\.(yaml|tpl)$/.test(path),
  )
}

/** Authorities that Node trusts beside its own. */
const OF_NODE = 'NODE_EXTRA_CA_CERTS'

test('every variable that a template sets is one of docs/config.md', () => {
  const known = knownVariables()
  const set = templates().flatMap((path) =>
    [...read(TEMPLATES, path).matchAll(VARIABLE)].map(([, name = '']) => ({ path, name })),
  )
  expect(set.length).toBeGreaterThan(30)
  expect(set.filter(({ name }) => !known.has(name) && name !== OF_NODE)).toEqual([])
})

test('every setting among the values is one of docs/config.md', () => {
  const known = knownVariables()
  const files = [
    'values.yaml',
    ...['minimal', 'production', 'all-on'].map((name) => `ci/${name}-values.yaml`),
  ]
  const names = files.flatMap((path) => settingsIn(parse(read(CHART, path))))
  expect(names.length).toBeGreaterThan(8)
  expect(names.filter((name) => !known.has(name))).toEqual([])
})

/** The keys of every map that is called `settings`. */
function settingsIn(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) =>
    key === 'settings' ? Object.keys(value as object) : settingsIn(value),
  )
}

test('the times that a stop may take are those of the product', () => {
  const text = read(TEMPLATES, '_drain.tpl')
  expect(text).toContain(`(add $graceMs ${2 * POOL_STOP_MARGIN_MS})`)
  expect(text).toContain(`.PROCESSOR_STOP_GRACE_MS) ${PROCESSOR_STOP_MARGIN_MS})`)
  expect(text).toContain(`.GATEWAY_APPEND_DEADLINE_MS) ${RELAY_STOP_MARGIN_MS})`)
  const [, stopMs = ''] =
    /STOP_DEADLINE_MS = ([\d_]+)/.exec(read(ROOT, 'shared', 'runtime', 'stop-signals.ts')) ?? []
  expect(text).toContain(`.preStopSeconds) ${Number(stopMs.replaceAll('_', '')) / 1_000} -`)
})

test('the ports are those of the settings', () => {
  const text = read(TEMPLATES, '_names.tpl')
  expect(text).toContain(
    `dict "gateway" "${gatewayConfig.table.port.default}" "serving" "${servingConfig.table.port.default}"`,
  )
  const [gateway, relay, processor] = [gatewayConfig, relayConfig, processorConfig].map(
    ({ table }) => table.adminPort.default,
  )
  expect(text).toContain(
    `dict "gateway" "${gateway}" "relay" "${relay}" "processor" "${processor}"`,
  )
})

test('the metric that gateways are scaled by is one of docs/metrics.md', () => {
  const { gateway } = parse(read(CHART, 'values.yaml')) as {
    readonly gateway: {
      readonly autoscaling: { readonly connections: { readonly metric: string } }
    }
  }
  expect(read(ROOT, 'docs', 'metrics.md')).toContain(
    `| \`${gateway.autoscaling.connections.metric}\` |`,
  )
})

test('a job of the production takes more than comes to a partition in an hour', () => {
  const text = read(CHART, 'ci/production-values.yaml')
  const { settings, batch } = parse(text) as {
    readonly settings: { readonly BACKHAUL_PARTITIONS: number }
    readonly batch: { readonly settings: Readonly<Record<string, number>> }
  }
  const given = Object.entries(batch.settings).map(([name, value]) => [name, `${value}`] as const)
  const config = readConfig(batchConfig, Object.fromEntries(given), () => '')
  const [, eventsPerSecond = ''] = /some ([\d,]+) events a second/.exec(text) ?? []
  const records =
    (Number(eventsPerSecond.replaceAll(',', '')) * 3_600) / settings.BACKHAUL_PARTITIONS
  // docs/gcp.md: 180,000 records of a partition and hour are 70 MB.
  const bytes = records * (70_000_000 / 180_000)
  expect(config.runRecordsMax).toBeGreaterThan(2 * records)
  expect(config.runBytesMax).toBeGreaterThan(2 * bytes)
})

test('a user of Kafka is named for each principal that docs/security/kafka-acls.sh gives rights', () => {
  const script = read(ROOT, 'docs', 'security', 'kafka-acls.sh')
  const loops = [...script.matchAll(/^for role in (.+); do$/gm)].flatMap(([, all = '']) =>
    all.split(' '),
  )
  const named = [...script.matchAll(/^allow (\w+) /gm)].map(([, role = '']) => role)
  const principals = new Set([...loops, ...named])
  // Topics are made by who starts first, or by an operator beforehand: no role of the chart is that one.
  principals.delete('setup')
  const { properties } = JSON.parse(read(CHART, 'values.schema.json')) as {
    readonly properties: {
      readonly kafka: {
        readonly properties: {
          readonly sasl: {
            readonly properties: { readonly roles: { readonly properties: object } }
          }
        }
      }
    }
  }
  const users = Object.keys(properties.kafka.properties.sasl.properties.roles.properties)
  expect(users.toSorted()).toEqual([...principals].toSorted())
})

test('docs/gke.md gives rights on the bucket to every role that reaches the cloud', () => {
  const needs = read(TEMPLATES, '_network.tpl').split(/^(?=[a-z-]+:$)/m)
  const reaching = needs.flatMap((role) =>
    /^ {2}cloud: true$/m.test(role) ? [role.slice(0, role.indexOf(':'))] : [],
  )
  const [, given = ''] =
    /^for role in (.+); do\n {2}gcloud storage/m.exec(read(ROOT, 'docs', 'gke.md')) ?? []
  expect(reaching).toContain('operator')
  expect(given.split(' ').toSorted()).toEqual(reaching.toSorted())
})

test.each(['gcp.md', 'airflow/backhaul_batch.py'])(
  'docs/%s gives the image a role, and no command that it does not have',
  (path) => {
    const page = read(ROOT, 'docs', path)
    expect(page).toMatch(/^\s*(?:args: \[backhaul, |arguments=\["backhaul", )/m)
    expect(page).not.toMatch(/^\s*(?:command: |cmds=)/m)
  },
)

test('a value without a comment is refused', () => {
  expect(() => valuesPage('gateway:\n  # Pods.\n  replicas: 1\n  other: 2\n')).toThrow(
    'gateway.other',
  )
})

test('a comment stands beside its value, whether or not it is the first of its map', () => {
  const page = valuesPage(
    'gateway:\n  # Pods.\n  replicas: 1\n  inner:\n    # Deep | down.\n    of: {}\n',
  )
  expect(page).toContain('| `gateway.replicas` | `1` | Pods. |')
  expect(page).toContain('| `gateway.inner.of` | `{}` | Deep \\| down. |')
})
