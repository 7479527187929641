/** Which roles the services need, as the commands that give them. */

export interface Granted {
  readonly bucket: string
  /** Absent where the history is not in BigQuery. */
  readonly datasets?:
    { readonly project: string; readonly dataset: string; readonly staging: string } | undefined
}

/** ACCOUNT stands for the service account of the processes. */
const MEMBER = '--member=serviceAccount:ACCOUNT'

export function grantsOf({ bucket, datasets }: Granted): string[] {
  const ofBucket = `gcloud storage buckets add-iam-policy-binding gs://${bucket} ${MEMBER} --role=roles/storage.objectUser`
  if (datasets === undefined) return [ofBucket]
  const { project, dataset, staging } = datasets
  const ofDatasets = [dataset, staging].map(
    (name) =>
      `bq query --use_legacy_sql=false 'GRANT \`roles/bigquery.dataEditor\` ON SCHEMA \`${project}.${name}\` TO "serviceAccount:ACCOUNT"'`,
  )
  return [
    ofBucket,
    ...ofDatasets,
    `gcloud projects add-iam-policy-binding ${project} ${MEMBER} --role=roles/bigquery.jobUser`,
  ]
}
