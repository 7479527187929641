import type { PartitionName } from './kafka-client.ts'

/** Partitions as the protocol lists them: by topic, in the order in which topics first come. */
export function byTopic<Entry extends PartitionName>(
  entries: readonly Entry[],
): { readonly topic: string; readonly partitions: readonly Entry[] }[] {
  const topics = new Map<string, Entry[]>()
  for (const entry of entries) {
    const partitions = topics.get(entry.topic)
    if (partitions === undefined) topics.set(entry.topic, [entry])
    else partitions.push(entry)
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}
