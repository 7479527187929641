/** `batch compact`: small raw files of past days, joined. */
import { noFailpoints } from '../../../shared/runtime/failpoints.ts'
import { compact, type CompactedDay } from '../../compact/compact.ts'
import { dateOf } from '../../control.ts'
import { counted } from '../counted.ts'
import { type Command, EXIT } from '../command.ts'
import { COMPACT_DAYS_MAX } from '../limits.ts'

const DAY_MS = 24 * 60 * 60_000

export const batchCompact: Command = {
  name: 'batch compact',
  summary: 'join small raw files of past days into larger ones',
  about: `Joins raw files that follow one another in a partition and are smaller than half of
BATCH_COMPACT_FILE_BYTES, into files of up to that size, of days that are over in the log. The records
stay byte for byte; the ledger says which file went into which, and the old ones are deleted once the
new stand in it. Files of these days that nothing names, left by runs and shards that were cut off or came
too late, are deleted before. May be repeated; after a kill it goes on. In a bucket give --days, fewer than those
after which raw files go to an archive class: deleting there is paid for the rest of a year. Exits with
3 while a run, a backfill, a replay or an erasure is under way.`,
  examples: ['batch compact', 'batch compact --dry-run --json', 'batch compact --days 5'],
  options: {
    'dry-run': { doc: 'Say what would be joined, and change nothing.' },
    days: { value: 'N', doc: 'Leave alone what is older than N days; nothing by default.' },
  },
  positionals: [],
  async run({ stores, clock, progress, signal }, given) {
    const isDryRun = given.flag('dry-run')
    const days = given.count('days', { max: COMPACT_DAYS_MAX, default: COMPACT_DAYS_MAX })
    const removed: string[] = []
    const compacted = await compact(
      {
        objects: await stores.objects(),
        warehouse: await stores.warehouse(),
        config: stores.settings.batch,
        failpoints: noFailpoints,
        holder: stores.holder,
        clock,
        signal,
        onProgress: (done, total) => progress.show('days', done, total),
        onRemoved: (names) => removed.push(...names),
      },
      { isDryRun, fromDay: dateOf(clock.nowMs() - days * DAY_MS) },
    )
    return {
      exitCode: EXIT.done,
      json: { isDryRun, days: compacted, removed },
      text: [
        ...(compacted.length === 0 ? ['Nothing to join.'] : compacted.map(textOf)),
        ...(removed.length === 0
          ? []
          : [`${counted(removed.length, 'file')} removed that nothing named.`]),
      ].join('\n'),
    }
  },
}

function textOf({ day, files, joined, bytes, joinedBytes }: CompactedDay): string {
  const into =
    joinedBytes === null
      ? `would be joined in ${joined}`
      : `joined in ${joined} of ${joinedBytes} bytes`
  return `${day}: ${files} files of ${bytes} bytes ${into}.`
}
