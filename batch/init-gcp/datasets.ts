/** The datasets of the history: made if they are missing, and how long what is in them is kept. */
import { tables } from '../../shared/warehouse/tables.ts'
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
  if (keepDays === undefined) return steps
  for (const table of EXPIRING)
    steps.push(...(await initExpiry(api, { ...wanted, table, keepDays }, isDryRun)))
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
  // Without a value it is taken away: control rows must not expire because a dataset says so.
  const expiry = {
    defaultTableExpirationMs:
      defaultTableExpirationMs === undefined ? null : `${defaultTableExpirationMs}`,
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
  if (isLabelled && found.defaultTableExpirationMs === defaultTableExpirationMs)
    return { resource, state: 'present', what }
  if (!isDryRun) await api.change(name, { labels: { ...found.labels, ...LABELS }, ...expiry })
  return { resource, state: 'changed', what }
}

interface WantedExpiry extends Datasets {
  readonly table: string
  readonly keepDays: number
}

/** A table that the first run has yet to make is left for a repeat of the command. */
async function initExpiry(
  api: DatasetApi,
  { project, dataset, table, keepDays }: WantedExpiry,
  isDryRun: boolean,
): Promise<InitStep[]> {
  const found = await api.readTable(dataset, table)
  if (found?.timePartitioning === undefined) return []
  const resource = `${project}.${dataset}.${table}`
  const what = `partitions kept for ${keepDays} days`
  const expirationMs = keepDays * DAY_MS
  if (found.timePartitioning.expirationMs === expirationMs)
    return [{ resource, state: 'present', what }]
  if (isDryRun) return [{ resource, state: 'changed', what }]
  const timePartitioning = { ...found.timePartitioning, expirationMs: `${expirationMs}` }
  await api.changeTable(dataset, table, { timePartitioning })
  const after = await api.readTable(dataset, table)
  const isKept = after?.timePartitioning?.expirationMs === expirationMs
  return [{ resource, state: isKept ? 'changed' : 'notKept', what }]
}
