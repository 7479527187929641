/** The ledger: where every range of the log went, a row for each raw file. */
import { tables } from '../shared/warehouse/tables.ts'
import type { WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { dateOf } from './control.ts'
import type { Cut } from './cut.ts'
import type { StagingFile } from './flatten.ts'
import { insertValues, type ValueRow } from './insert-values.ts'
import { jobsOf, loadJobId } from './load.ts'
import type { Manifest, RawFileInfo } from './manifest.ts'
import { manifestName } from './object-names.ts'
import { KINDS_OF_TOPIC } from './staging.ts'

export interface LedgerOfRun {
  readonly cut: Cut
  readonly manifest: Manifest
  readonly staging: readonly StagingFile[]
}

export async function writeLedger(session: WarehouseSession, of: LedgerOfRun): Promise<void> {
  const { run } = of.cut
  const rows = of.manifest.files.map((file) => ledgerValues(of, file))
  await insertValues(session, { table: tables.ledger, rows, jobId: `batch-${run}-ledger` })
}

/** A raw file of events is named with the staging file of its events; that of its frames is beside it. */
function ledgerValues({ cut, staging }: LedgerOfRun, file: RawFileInfo): ValueRow {
  const [kind] = KINDS_OF_TOPIC[file.topic]
  const made = staging.find((one) => one.rawFile === file.name && one.kind === kind)
  return {
    run: cut.run,
    run_date: dateOf(cut.cutAtMs),
    topic: file.topic,
    log_partition: file.partition,
    first_offset: file.first,
    last_offset: file.last,
    records: file.counts.records,
    file: file.name,
    bytes: file.sizeBytes,
    sha256: file.sha256,
    manifest: manifestName(cut.run),
    staging_file: made?.name,
    job_id: kind && loadJobId(jobsOf(cut.run), kind),
    rows_loaded: made?.rows,
  }
}
