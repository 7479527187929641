/**
 * Ends the keys of sessions in the compacted topic of closed ones: of a key that has ended Kafka keeps
 * nothing for longer than its compaction takes. A repeat ends them once more, which changes nothing.
 */
import type { EventLog, NewRecord } from '../../shared/log/event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { ERASE_KEYS_PER_APPEND } from '../limits.ts'

const NOTHING = new Uint8Array()

/** A session that was closed when the topic had fewer partitions is forgotten by the topic's retention. */
export async function endKeys(
  log: Pick<EventLog, 'append' | 'describeTopic'>,
  sessions: readonly string[],
): Promise<void> {
  if (sessions.length === 0) return
  const { partitions } = await log.describeTopic(TOPICS.sessions)
  const ended = Map.groupBy(sessions, (id) => partitionOf(id, partitions))
  for (const [partition, keys] of ended)
    for (let first = 0; first < keys.length; first += ERASE_KEYS_PER_APPEND) {
      const records = keys.slice(first, first + ERASE_KEYS_PER_APPEND).map(endOf)
      await log.append(TOPICS.sessions, partition, records)
    }
}

const endOf = (key: string): NewRecord => ({ key, value: NOTHING, headers: {} })
