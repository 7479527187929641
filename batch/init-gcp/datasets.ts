/** The datasets of the history: made if they are missing, and how long what is in them is kept. */
import { allTables, tables } from '../../shared/warehouse/tables.ts'
import { STAGING_TABLES_KEPT_DAYS } from '../limits.ts'
import type { DatasetApi } from './dataset-api.ts'
import { initErrors } from './errors.ts'
import { type InitOptions, type InitStep, LABELS } from './steps.ts'

const DAY_MS = 24 * 60 * 60_000

export interface Datasets {
  readonly project: string
  /** Of the tables. */
  readonly dataset: string
  /** Of what runs write in between. */
  readonly staging: string
  readonly location: string
  /** How long partitions of sessions and metrics are kept, days; absent: as they are. */
  readonly keepDays: number | undefined
}

/**
 * Tables whose old days may go: what is computed of others. Never what runs have taken, and in which
 * files it is: without its control rows a partition would be taken from its beginning again. And never
 * events, frames, rejects and exceptions: by them an erasure finds the sessions of a viewer and the raw
 * files that they are in.
 */
const EXPIRING: readonly string[] = [tables.sessions, tables.sessionMinutes, tables.qoeMinute].map(
  ({ name }) => name,
)

export async function initDatasets(
  api: DatasetApi,
  wanted: Datasets,
  { isDryRun }: Pick<InitOptions, 'isDryRun'>,
): Promise<InitStep[]> {
  const { dataset, staging, keepDays } = wanted
  const kept = {
    description: 'History of playback events, kept by Backhaul.',
    defaultTableExpirationMs: undefined,
  }
  const passing = {
    description: 'What runs of the batch write in between; gone after a day.',
    defaultTableExpirationMs: STAGING_TABLES_KEPT_DAYS * DAY_MS,
  }
  const steps = [
    await initDataset(api, { ...wanted, ...kept, name: dataset }, isDryRun),
    await initDataset(api, { ...wanted, ...passing, name: staging }, isDryRun),
  ]
  for (const { name: table } of allTables) {
    const keptDays = EXPIRING.includes(table) ? keepDays : 'ever'
    if (keptDays !== undefined)
      steps.push(...(await initExpiry(api, { ...wanted, table, keptDays }, isDryRun)))
  }
  return steps
}

interface WantedDataset {
  readonly project: string
  readonly name: string
  readonly location: string
  readonly description: string
  readonly defaultTableExpirationMs: number | undefined
}

async function initDataset(
  api: DatasetApi,
  { project, name, location, description, defaultTableExpirationMs }: WantedDataset,
  isDryRun: boolean,
): Promise<InitStep> {
  const resource = `${project}.${name}`
  const found = await api.read(name)
  const days = defaultTableExpirationMs === undefined ? '' : ', tables kept for a day'
  const what = `dataset in ${location}${days}`
  // Without a value it is taken away: control rows must not expire because a dataset says so, and a
  // project may give each new dataset an expiry of partitions.
  const expiry = {
    defaultTableExpirationMs:
      defaultTableExpirationMs === undefined ? null : `${defaultTableExpirationMs}`,
    defaultPartitionExpirationMs: null,
  }
  if (found === undefined) {
    if (!isDryRun) await api.create(name, { location, description, labels: LABELS, ...expiry })
    return { resource, state: 'created', what }
  }
  if (found.location?.toUpperCase() !== location.toUpperCase())
    throw initErrors.create('INIT_LOCATION_DIFFERS', {
      expected: `${resource} in ${location}`,
      received: found.location ?? 'none',
    })
  const isLabelled = Object.entries(LABELS).every(([label, text]) => found.labels[label] === text)
  const isKept =
    found.defaultTableExpirationMs === defaultTableExpirationMs &&
    found.defaultPartitionExpirationMs === undefined
  if (isLabelled && isKept) return { resource, state: 'present', what }
  if (!isDryRun) await api.change(name, { labels: { ...found.labels, ...LABELS }, ...expiry })
  return { resource, state: 'changed', what }
}

interface WantedExpiry extends Datasets {
  readonly table: string
  readonly keptDays: number | 'ever'
}

/**
 * A table that the first run has yet to make is left for a repeat of the command. One that is kept for
 * ever, as it should be, is not worth a line.
 */
async function initExpiry(
  api: DatasetApi,
  { project, dataset, table, keptDays }: WantedExpiry,
  isDryRun: boolean,
): Promise<InitStep[]> {
  const found = await api.readTable(dataset, table)
  if (found?.timePartitioning === undefined) return []
  const resource = `${project}.${dataset}.${table}`
  const isForEver = keptDays === 'ever'
  const what = `partitions kept for ${isForEver ? 'ever' : `${keptDays} days`}`
  const expirationMs = isForEver ? undefined : keptDays * DAY_MS
  if (found.timePartitioning.expirationMs === expirationMs)
    return isForEver ? [] : [{ resource, state: 'present', what }]
  if (isDryRun) return [{ resource, state: 'changed', what }]
  const changed = expirationMs === undefined ? null : `${expirationMs}`
  const timePartitioning = { ...found.timePartitioning, expirationMs: changed }
  await api.changeTable(dataset, table, { timePartitioning })
  const after = await api.readTable(dataset, table)
  const isKept = after?.timePartitioning?.expirationMs === expirationMs
  return [{ resource, state: isKept ? 'changed' : 'notKept', what }]
}
