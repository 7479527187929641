/** Every command, in the order of the help. */
import type { Command } from './command.ts'
import { alertsCheck } from './commands/alerts-check.ts'
import { backfill } from './commands/backfill.ts'
import { batchCompact } from './commands/batch-compact.ts'
import { batchRun } from './commands/batch-run.ts'
import { contentCheck } from './commands/content-check.ts'
import { contentLoad } from './commands/content-load.ts'
import { dlqList } from './commands/dlq-list.ts'
import { dlqReplay } from './commands/dlq-replay.ts'
import { erase } from './commands/erase.ts'
import { initGcp } from './commands/init-gcp.ts'
import { ledgerShow } from './commands/ledger-show.ts'
import { reconcile } from './commands/reconcile.ts'
import { replay } from './commands/replay.ts'
import { schemaMigrate } from './commands/schema-migrate.ts'
import { smoke } from './commands/smoke.ts'
import { verify } from './commands/verify.ts'
import { viewCompare } from './commands/view-compare.ts'
import { viewDrop } from './commands/view-drop.ts'
import { viewList } from './commands/view-list.ts'
import { viewSwitch } from './commands/view-switch.ts'

export const commands: readonly Command[] = [
  batchRun,
  batchCompact,
  reconcile,
  backfill,
  replay,
  ledgerShow,
  verify,
  dlqList,
  dlqReplay,
  erase,
  alertsCheck,
  contentCheck,
  contentLoad,
  viewList,
  viewCompare,
  viewSwitch,
  viewDrop,
  initGcp,
  schemaMigrate,
  smoke,
]
