/** The bucket of the objects: made if it is missing, checked if not, and its rules of lifecycle. */
import type { Bucket, BucketApi, LifecycleRule } from './bucket-api.ts'
import { initErrors } from './errors.ts'
import { ARCHIVE_AFTER_DAYS, REPLAYS_KEPT_DAYS, STAGING_KEPT_DAYS } from '../limits.ts'
import { RAW_FOLDER, REPLAYS_FOLDER, RUNS_FOLDER } from '../object-names.ts'
import { type InitOptions, type InitStep, LABELS } from './steps.ts'

const SECONDS_PER_DAY = 24 * 60 * 60

/** What of the objects grows old by itself; the tables, manifests and ledgers do not. */
const RULES: readonly { readonly what: string; readonly rule: LifecycleRule }[] = [
  {
    what: `raw files to the class ARCHIVE after ${ARCHIVE_AFTER_DAYS} days`,
    rule: {
      action: { type: 'SetStorageClass', storageClass: 'ARCHIVE' },
      condition: { age: ARCHIVE_AFTER_DAYS, matchesPrefix: [RAW_FOLDER] },
    },
  },
  {
    what: `staging files of runs deleted after ${STAGING_KEPT_DAYS} days`,
    rule: {
      action: { type: 'Delete' },
      condition: {
        age: STAGING_KEPT_DAYS,
        matchesPrefix: [RUNS_FOLDER],
        matchesSuffix: ['.parquet'],
      },
    },
  },
  {
    what: `what killed replays left deleted after ${REPLAYS_KEPT_DAYS} days`,
    rule: {
      action: { type: 'Delete' },
      condition: { age: REPLAYS_KEPT_DAYS, matchesPrefix: [REPLAYS_FOLDER] },
    },
  },
]

export async function initBucket(
  api: BucketApi,
  name: string,
  options: InitOptions,
): Promise<InitStep[]> {
  const resource = `gs://${name}`
  const found = await api.read()
  if (found !== undefined) refuseUnfit(resource, found, options)
  const made = found ?? (await create(api, resource, options))
  const what = `bucket${made.location === undefined ? '' : ` in ${made.location}`}${softDelete(made)}`
  const state = found === undefined ? 'created' : 'present'
  return [{ resource, state, what }, ...(await initRules(api, resource, made, options))]
}

function refuseUnfit(resource: string, found: Bucket, { location }: InitOptions): void {
  const { retentionPolicy } = found
  if (retentionPolicy !== undefined)
    throw initErrors.create('INIT_RETENTION_POLICY', {
      expected: `${resource} without a retention policy`,
      received: `one of ${retentionPolicy.retentionPeriod ?? '?'} s`,
    })
  if (location === undefined || found.location?.toUpperCase() === location.toUpperCase()) return
  throw initErrors.create('INIT_LOCATION_DIFFERS', {
    expected: `${resource} in ${location}`,
    received: found.location ?? 'none',
  })
}

async function create(
  api: BucketApi,
  resource: string,
  { project, locationIfMade, location = locationIfMade, isDryRun }: InitOptions,
): Promise<Bucket> {
  if (project === undefined)
    throw initErrors.create('INIT_PROJECT_MISSING', {
      expected: `${resource} to exist, or --project`,
      received: 'neither',
    })
  const wanted = {
    location,
    labels: LABELS,
    storageClass: 'STANDARD',
    iamConfiguration: {
      uniformBucketLevelAccess: { enabled: true },
      publicAccessPrevention: 'enforced',
    },
  }
  if (isDryRun) return { location, labels: LABELS, lifecycle: { rule: [] } }
  await api.create(project, wanted)
  const made = await api.read()
  if (made !== undefined) return made
  throw initErrors.create('INIT_UNAVAILABLE', {
    expected: `${resource} to be there once it is created`,
    received: 'none',
  })
}

/** Rules that others have set stay; one of ours with other days is replaced. */
async function initRules(
  api: BucketApi,
  resource: string,
  bucket: Bucket,
  { isDryRun }: InitOptions,
): Promise<InitStep[]> {
  const missing = RULES.filter(({ rule }) => !hasRule(bucket, rule))
  if (missing.length > 0 && !isDryRun) {
    const others = bucket.lifecycle.rule.filter(
      (rule) => !missing.some((own) => purposeOf(own.rule) === purposeOf(rule)),
    )
    const rule = [...others, ...missing.map((own) => own.rule)]
    await api.change(bucket, { lifecycle: { rule }, labels: { ...bucket.labels, ...LABELS } })
  }
  const after = isDryRun ? undefined : await api.read()
  return RULES.map(({ what, rule }) => {
    if (!missing.some((own) => own.rule === rule)) return { resource, state: 'present', what }
    const isKept = after === undefined || hasRule(after, rule)
    return { resource, state: isKept ? 'changed' : 'notKept', what }
  })
}

function hasRule({ lifecycle }: Bucket, wanted: LifecycleRule): boolean {
  return lifecycle.rule.some(
    (rule) => purposeOf(rule) === purposeOf(wanted) && ageOf(rule) === ageOf(wanted),
  )
}

/**
 * What a rule does with which objects, whatever their age. Any other condition makes it another rule: one
 * for noncurrent versions alone, say, is neither ours nor instead of ours.
 */
function purposeOf({ action, condition }: LifecycleRule): string {
  const { age: _, matchesPrefix = [], matchesSuffix = [], ...others } = condition
  return JSON.stringify([
    action.type,
    action.storageClass ?? '',
    matchesPrefix,
    matchesSuffix,
    others,
  ])
}

function ageOf({ condition }: LifecycleRule): unknown {
  return condition['age']
}

/** What an erasure's proof does not see: a bucket may keep for days what was deleted. */
function softDelete({ softDeletePolicy }: Bucket): string {
  const seconds = softDeletePolicy?.retentionDurationSeconds ?? 0
  const days = Math.ceil(seconds / SECONDS_PER_DAY)
  return days === 0 ? '' : `, which keeps what is deleted for ${days} days (soft delete)`
}
