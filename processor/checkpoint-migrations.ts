/**
 * Checkpoints of earlier formats, brought forward one format at a time, each step with a name. A new
 * format is a step here, a number in `CHECKPOINT_FORMAT`, and a checkpoint of the former one as a
 * file beside the tests. There is no way back: what a later release wrote is refused.
 */
export interface CheckpointOfFormat {
  readonly header: Readonly<Record<string, unknown>>
  /** Slices of the fold's snapshot. */
  readonly fold: Uint8Array
}

export interface CheckpointMigration {
  /** Format that it reads; the result is of the next one. */
  readonly from: number
  readonly name: string
  migrate(checkpoint: CheckpointOfFormat): CheckpointOfFormat
}

/** In order of format, without a gap. */
export const CHECKPOINT_MIGRATIONS: readonly CheckpointMigration[] = [
  {
    from: 1,
    name: 'say which outputs the view owes',
    // No view had another beside it: all it held was its own to put out.
    migrate: ({ header, fold }) => ({
      header: { ...header, owedOffset: header['nextOffset'] },
      fold,
    }),
  },
]

/** Raised when the header or the meaning of what follows changes. */
export const CHECKPOINT_FORMAT = (CHECKPOINT_MIGRATIONS.at(-1)?.from ?? 0) + 1

/** The same state in the current format, with the names of the steps that were taken. */
export function migrateCheckpoint(
  checkpoint: CheckpointOfFormat,
  format: number,
): { readonly checkpoint: CheckpointOfFormat; readonly migrations: readonly string[] } {
  const steps = CHECKPOINT_MIGRATIONS.filter(({ from }) => from >= format)
  let migrated = checkpoint
  for (const step of steps) {
    const next = step.migrate(migrated)
    migrated = { ...next, header: { ...next.header, format: step.from + 1 } }
  }
  return { checkpoint: migrated, migrations: steps.map(({ name }) => name) }
}
