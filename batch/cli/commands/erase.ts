/** `erase`: forgets a viewer. */
import type { ObjectStore } from '../../../shared/objects/object-store.ts'
import { noFailpoints } from '../../../shared/runtime/failpoints.ts'
import { listViews } from '../../../shared/views/view-registry.ts'
import { eraseViewer, type Erased } from '../../erase/erase.ts'
import { replayedViews } from '../../replay/replayed-views.ts'
import { usage } from '../arguments.ts'
import { counted } from '../counted.ts'
import { type Command, EXIT } from '../command.ts'

export const erase: Command = {
  name: 'erase',
  summary: 'forget a viewer: files, tables and live rows, with a proof',
  about: `Removes every session of the viewer from raw files, tables and the live view, and writes a
proof of what was removed where. From its beginning nothing of the viewer is served, loaded or
replayed. Safe to repeat: after a kill it goes on where it was. The raw id is hashed under every key of
the keyring and written nowhere. What stays, and until when, is in docs/erasure.md.`,
  examples: ['erase --viewer "$VIEWER_ID"', 'erase --viewer "$VIEWER_ID" --json'],
  options: { viewer: { value: 'ID', doc: 'the viewer id as the player sends it' } },
  positionals: [],
  async run({ stores, clock, progress, signal }, given) {
    const viewerId = given.required('viewer')
    if (viewerId === '') throw usage('--viewer with an id', 'an empty one')
    const { settings } = stores
    progress.show('erasing')
    const objects = await stores.objects()
    const erased = await eraseViewer(
      {
        objects,
        warehouse: await stores.warehouse(),
        speed: await stores.speed('guest'),
        log: await stores.log('guest'),
        clock,
        signal,
        failpoints: noFailpoints,
        pseudonymiser: stores.pseudonymiser(),
        views: await viewsOf(objects, settings.view),
        leaseMs: settings.batch.leaseMs,
        holder: stores.holder,
        logRetentionMs: settings.common.logRetentionMs,
        rowRetentionMs: settings.processor.rowRetentionMs,
        onProgress: (done, total) => progress.show('files', done, total),
      },
      viewerId,
    )
    return { exitCode: EXIT.done, json: erased, text: textOf(erased) }
  },
}

/** Every view that may have rows; one whose drop was cut off still has some. */
async function viewsOf(objects: ObjectStore, own: string): Promise<string[]> {
  const begun = (await listViews(objects, { dropped: true })).map(({ view }) => view)
  return [...new Set([own, ...begun, ...(await replayedViews(objects))])]
}

function textOf({ proofName, proof }: Erased): string {
  const { sessions, files, stagingFiles, unnamedFiles, rows, forgottenByMs } = proof
  const day = (ms: number) => new Date(ms).toISOString()
  return [
    `${counted(sessions, 'session')} forgotten, as of ${day(proof.erasedAtMs)}.`,
    ...Object.entries(rows).map(([table, count]) => `  ${counted(count, 'row')} of ${table}`),
    ...files.map(({ name, sha256, replacedBy, replacedBySha256 }) =>
      [`  ${name}`, `    ${sha256}`, `  → ${replacedBy}`, `    ${replacedBySha256}`].join('\n'),
    ),
    `  ${counted(stagingFiles.length, 'staging file')} deleted`,
    ...(unnamedFiles.length === 0
      ? []
      : [`  ${counted(unnamedFiles.length, 'file')} deleted that nothing named`]),
    `The log and the checkpoints forget by ${day(forgottenByMs.log)}.`,
    `A live row that is written again is not served, and expires by ${day(forgottenByMs.liveRows)}.`,
    `Proof: ${proofName}`,
  ].join('\n')
}
