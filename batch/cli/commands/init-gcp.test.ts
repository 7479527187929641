import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../shared/runtime/clock.ts'
import { CommandsOn, expectRefusal } from '../../testing/commands-on.ts'
import { ResourcesServer } from '../../testing/resources-server.ts'

const BUCKET = 'b/my-bucket'
const LINE = 'init gcp --project my-project --location EU'

let cloud: ResourcesServer
let folder: string
let commands: CommandsOn
let endpoint: string

beforeEach(async () => {
  cloud = new ResourcesServer()
  endpoint = await cloud.start()
  folder = await mkdtemp(join(tmpdir(), 'backhaul-init-'))
  commands = new CommandsOn(folder, systemClock, {
    OBJECT_STORE: 'gcs',
    GCS_BUCKET: 'my-bucket',
    GCS_ENDPOINT: endpoint,
    GCS_CREDENTIALS: 'none',
  })
})
afterEach(async () => {
  await cloud.stop()
  await rm(folder, { recursive: true, force: true })
})

function rulesOf(): readonly object[] {
  const lifecycle = cloud.resources.get(BUCKET)?.['lifecycle'] as { rule: object[] } | undefined
  return lifecycle?.rule ?? []
}
const statesOf = (found: Record<string, unknown>) =>
  (found['steps'] as { readonly state: string }[]).map(({ state }) => state)
const withDatasets = (line: string) =>
  `${line} --dataset history --keep-days 400 --bigquery-endpoint ${endpoint}`

test('a bucket is made with its lifecycle, and a repeat changes nothing', async () => {
  expect(statesOf((await commands.json(LINE)).found)).toEqual([
    'created',
    'changed',
    'changed',
    'changed',
  ])
  expect(cloud.resources.get(BUCKET)).toMatchObject({
    location: 'EU',
    labels: { app: 'backhaul' },
    iamConfiguration: { uniformBucketLevelAccess: { enabled: true } },
  })
  expect(rulesOf()).toContainEqual({
    action: { type: 'SetStorageClass', storageClass: 'ARCHIVE' },
    condition: { age: 7, matchesPrefix: ['raw/'] },
  })
  const changes = [...cloud.changes]
  const again = await commands.json(LINE)
  expect(again.code).toBe(0)
  expect(statesOf(again.found)).toEqual(['present', 'present', 'present', 'present'])
  expect(cloud.changes).toEqual(changes)
})

test('a dry run says what would be done, and does none of it', async () => {
  const { code, output } = await commands.run(withDatasets(`${LINE} --dry-run`))
  expect(code).toBe(0)
  expect(output).toContain('gs://my-bucket: bucket in EU: would be created')
  expect(output).toContain('my-project.history_staging: dataset in EU')
  expect(output).toContain('roles/storage.objectUser')
  expect(output).toContain('roles/bigquery.jobUser')
  expect(cloud.changes).toEqual([])
})

test("others' rules and labels stay, and one of ours with other days is replaced", async () => {
  const others = { action: { type: 'Delete' }, condition: { age: 3, matchesPrefix: ['mine/'] } }
  const former = {
    action: { type: 'SetStorageClass', storageClass: 'ARCHIVE' },
    condition: { age: 90, matchesPrefix: ['raw/'] },
  }
  cloud.resources.set(BUCKET, {
    location: 'EU',
    labels: { team: 'a' },
    lifecycle: { rule: [others, former] },
  })
  expect(statesOf((await commands.json('init gcp')).found)[0]).toBe('present')
  expect(rulesOf()).toHaveLength(4)
  expect(rulesOf()).toContainEqual(others)
  expect(rulesOf()).not.toContainEqual(former)
  expect(cloud.resources.get(BUCKET)?.['labels']).toEqual({ team: 'a', app: 'backhaul' })
})

test('a rule for the same objects under one more condition is neither ours nor replaced', async () => {
  const action = { type: 'SetStorageClass', storageClass: 'ARCHIVE' }
  const noncurrent = [7, 90].map((age) => ({
    action,
    condition: { age, matchesPrefix: ['raw/'], isLive: false },
  }))
  cloud.resources.set(BUCKET, { location: 'EU', lifecycle: { rule: noncurrent } })
  expect((await commands.json('init gcp')).code).toBe(0)
  expect(rulesOf()).toEqual(expect.arrayContaining(noncurrent))
  expect(rulesOf()).toContainEqual({ action, condition: { age: 7, matchesPrefix: ['raw/'] } })
})

test('datasets are made, and the partitions of tables that are there are kept for so long', async () => {
  const sessions = 'datasets/history/tables/sessions'
  const others = ['batch_runs', 'ledger', 'events', 'event_copies', 'frames', 'rejects']
  const timePartitioning = { type: 'DAY', field: 'received_date' }
  cloud.resources.set(sessions, { timePartitioning })
  for (const table of others)
    cloud.resources.set(`datasets/history/tables/${table}`, { timePartitioning })
  const ofProject = { ...timePartitioning, expirationMs: '5184000000' }
  cloud.resources.set('datasets/history/tables/ledger', { timePartitioning: ofProject })
  const byMistake = {
    location: 'EU',
    defaultTableExpirationMs: '3600000',
    defaultPartitionExpirationMs: '5184000000',
  }
  cloud.resources.set('datasets/history', byMistake)
  expect((await commands.json(withDatasets(LINE))).code).toBe(0)
  expect(cloud.resources.get('datasets/history')).toMatchObject({
    labels: { app: 'backhaul' },
    defaultTableExpirationMs: null,
    defaultPartitionExpirationMs: null,
  })
  expect(cloud.resources.get('datasets/history_staging')).toMatchObject({
    defaultTableExpirationMs: `${86_400_000}`,
  })
  expect(cloud.resources.get(sessions)).toEqual({
    timePartitioning: { ...timePartitioning, expirationMs: `${400 * 86_400_000}` },
  })
  // What was taken, where it is, and whose it is, is never old.
  for (const table of others) {
    const kept = cloud.resources.get(`datasets/history/tables/${table}`)?.['timePartitioning']
    expect(kept, table).toEqual({
      ...timePartitioning,
      ...(table === 'ledger' ? { expirationMs: null } : {}),
    })
  }
  const changes = [...cloud.changes]
  expect(new Set(statesOf((await commands.json(withDatasets(LINE))).found))).toEqual(
    new Set(['present']),
  )
  expect(cloud.changes).toEqual(changes)
})

test('the settings of the services say where all is made, unless the command line does', async () => {
  const ofServices = {
    WAREHOUSE_STORE: 'bigquery',
    BIGQUERY_PROJECT: 'our-project',
    BIGQUERY_DATASET: 'playback',
    BIGQUERY_STAGING_DATASET: 'between',
    BIGQUERY_LOCATION: 'EU',
    BIGQUERY_ENDPOINT: endpoint,
    BIGQUERY_CREDENTIALS: 'none',
  }
  const dry = await commands.run('init gcp --dry-run', ofServices)
  expect(dry.output).toContain('gs://my-bucket: bucket in EU: would be created')
  expect(dry.output).toContain('our-project.between: dataset in EU, tables kept for a day')
  expect(dry.output).toContain('projects add-iam-policy-binding our-project')
  expect(cloud.changes).toEqual([])
  expect((await commands.run('init gcp', ofServices)).code).toBe(0)
  const made = ['b/my-bucket', 'datasets/playback', 'datasets/between']
  expect([...cloud.resources.keys()]).toEqual(made)
  for (const name of made) expect(cloud.resources.get(name)).toMatchObject({ location: 'EU' })
  // A bucket may be in a region of the datasets' location: it is compared with what is said alone.
  cloud.resources.set(BUCKET, { ...cloud.resources.get(BUCKET), location: 'EUROPE-WEST1' })
  const other = 'init gcp --project their-project --location US --dataset theirs'
  expectRefusal(await commands.run(other, ofServices), 1, 'INIT_LOCATION_DIFFERS')
  expect((await commands.run('init gcp --dataset theirs', ofServices)).output).toMatch(
    /^our-project\.theirs_staging: dataset in EU, .*: created$/m,
  )
})

test('what cannot be made or used is refused by its name, with what mends it', async () => {
  expectRefusal(await commands.run('init gcp'), 1, 'INIT_PROJECT_MISSING')
  cloud.resources.set(BUCKET, { location: 'US' })
  const elsewhere = await commands.run(LINE)
  expectRefusal(elsewhere, 1, 'INIT_LOCATION_DIFFERS')
  expect(elsewhere.errors).toContain('gs://my-bucket in EU')
  cloud.resources.set(BUCKET, { location: 'EU', retentionPolicy: { retentionPeriod: '60' } })
  expectRefusal(await commands.run(LINE), 1, 'INIT_RETENTION_POLICY')
  cloud.refusal = { status: 403, message: 'no access' }
  const forbidden = await commands.run(LINE)
  expectRefusal(forbidden, 1, 'INIT_NOT_AUTHORIZED')
  expect(forbidden.errors).toContain('storage.buckets.get on gs://my-bucket')
  cloud.refusal = { status: 503, message: 'later' }
  expectRefusal(await commands.run(LINE), 75, 'INIT_UNAVAILABLE')
  expect(cloud.changes).toEqual([])
  expectRefusal(await commands.run(LINE, { OBJECT_STORE: 'folder' }), 4, 'CONFIG_CONFLICT')
  expectRefusal(await commands.run('init gcp --keep-days 3'), 2, 'CLI_USAGE_INVALID')
})
