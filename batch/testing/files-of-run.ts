/**
 * A run of the batch that makes its raw files and the rows which say so, and loads nothing: for tests of
 * what is done with files, which need no events in tables.
 */
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { beginControl, beginCut } from '../begin-run.ts'
import { writeControl } from '../control.ts'
import { writeLedger } from '../ledger.ts'
import { type Manifest, writeManifest } from '../manifest.ts'
import { manifestOf, writeRawFiles } from '../raw-files.ts'
import { createBatchTelemetry } from '../telemetry.ts'
import { type BatchMachine, configOf } from './batch-machine.ts'

export async function runOfFiles(
  { ports, clock }: Pick<BatchMachine, 'ports' | 'clock'>,
  settings: Readonly<Record<string, string>> = {},
): Promise<Manifest> {
  const { objects, warehouse } = ports
  const context = {
    ...ports,
    clock,
    config: configOf(settings),
    limits: DEFAULT_FOLD_LIMITS,
    logRetentionMs: Number.MAX_SAFE_INTEGER,
    acceptLoss: [],
    failpoints: noFailpoints,
    telemetry: createBatchTelemetry(createTelemetryBase('silent')),
    assertMayGoOn: () => undefined,
  }
  const cut = await beginCut(context, await beginControl(warehouse))
  const manifest = manifestOf(cut, await writeRawFiles(context, cut, cut.ranges))
  await writeManifest(objects, manifest)
  const done = { cut, manifest, staging: [], partitions: [] }
  const session = await warehouse.open()
  try {
    await writeLedger(session, done)
    const endedAtMs = clock.nowMs()
    await writeControl(session, { ...done, boundaryMs: undefined, usage: undefined, endedAtMs })
  } finally {
    await session.close()
  }
  return manifest
}
