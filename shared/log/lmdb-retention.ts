/**
 * Deletes what exceeds a partition's retention, oldest chunks first. Chunks are found by their keys
 * alone and deleted in slices, each in a commit of its own, so that neither the event loop nor the
 * appends beside it wait for long.
 */
import type { GroupCommit } from '../lmdb/group-commit.ts'
import type { Table } from '../lmdb/root.ts'
import { chunkSeekKey, parseChunkKey, partitionEndKey } from './lmdb-chunk.ts'
import { RETENTION_SLICE_CHUNKS } from './lmdb-limits.ts'
import type { LmdbPartition } from './lmdb-partition.ts'

export interface RetentionBounds {
  /** Records appended before this time go. */
  readonly keepFromMs: number
  /** While the partition's chunks hold more bytes than this, the oldest goes. */
  readonly keepBytes: number
}

/** Resolves with the number of records deleted. */
export async function applyPartitionRetention(
  commits: GroupCommit,
  chunks: Table,
  partition: LmdbPartition,
  bounds: RetentionBounds,
): Promise<number> {
  let removed = 0
  for (;;) {
    const slice = oldestBeyond(chunks, partition, bounds)
    if (slice.length === 0) break
    removed += await commits.write(partition.removalTask(slice))
    if (slice.length < RETENTION_SLICE_CHUNKS) break
  }
  // LMDB uses freed pages again only from the second commit on: on a full disk, where no append
  // succeeds, that commit has to come from here.
  if (removed > 0) await commits.write(partition.touchTask())
  return removed
}

function oldestBeyond(
  chunks: Table,
  { topicNumber, partition, state }: LmdbPartition,
  bounds: RetentionBounds,
) {
  let { chunkBytes } = state
  const slice = []
  const keys = chunks.getKeys({
    start: chunkSeekKey(topicNumber, partition, 0),
    end: partitionEndKey(topicNumber, partition),
    limit: RETENTION_SLICE_CHUNKS,
  })
  for (const key of keys) {
    const chunk = parseChunkKey(key)
    if (chunk.loggedAtMs >= bounds.keepFromMs && chunkBytes <= bounds.keepBytes) break
    chunkBytes -= chunk.valueBytes
    slice.push({ key, chunk })
  }
  return slice
}
