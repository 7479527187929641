/**
 * What members of a consumer group tell one another through Kafka: the topics each wants, and the
 * partitions each gets. The bytes are those of Kafka's own consumers (version 0), so that its tools
 * show the members of our groups too. Partitions are dealt in turn to the members that want their
 * topic, in the order of the members' ids.
 */
export interface GroupSubscription {
  readonly memberId: string
  readonly metadata: Buffer
}

/** Members that do not deal alike cannot be in one group. */
export const ASSIGNMENT_PROTOCOL = 'backhaul-in-turn'

const VERSION = 0
const NO_USER_DATA = -1

export function encodeSubscription(topic: string): Buffer {
  const name = Buffer.from(topic)
  const bytes = Buffer.alloc(2 + 4 + 2 + name.length + 4)
  let at = bytes.writeInt16BE(VERSION, 0)
  at = bytes.writeInt32BE(1, at)
  at = bytes.writeInt16BE(name.length, at)
  at += name.copy(bytes, at)
  bytes.writeInt32BE(NO_USER_DATA, at)
  return bytes
}

/** The topic of a member of ours, which wants one. */
export function decodeSubscription(bytes: Buffer): string | undefined {
  if (bytes.readInt32BE(2) < 1) return undefined
  const length = bytes.readInt16BE(6)
  return bytes.subarray(8, 8 + length).toString()
}

export function encodeAssignment(topic: string, partitions: readonly number[]): Buffer {
  const name = Buffer.from(topic)
  const bytes = Buffer.alloc(2 + 4 + 2 + name.length + 4 + 4 * partitions.length + 4)
  let at = bytes.writeInt16BE(VERSION, 0)
  at = bytes.writeInt32BE(1, at)
  at = bytes.writeInt16BE(name.length, at)
  at += name.copy(bytes, at)
  at = bytes.writeInt32BE(partitions.length, at)
  for (const partition of partitions) at = bytes.writeInt32BE(partition, at)
  bytes.writeInt32BE(NO_USER_DATA, at)
  return bytes
}

/** Partitions of a member's one topic; none where it got nothing. */
export function decodeAssignment(bytes: Buffer): number[] {
  if (bytes.length < 6 || bytes.readInt32BE(2) < 1) return []
  const at = 8 + bytes.readInt16BE(6)
  const count = bytes.readInt32BE(at)
  return Array.from({ length: count }, (_, index) => bytes.readInt32BE(at + 4 + 4 * index))
}

/** Who gets what; `partitionsOf` tells how many partitions a topic has. */
export function dealPartitions(
  members: readonly GroupSubscription[],
  partitionsOf: (topic: string) => number,
): { readonly memberId: string; readonly assignment: Buffer }[] {
  const wanted = members
    .map(({ memberId, metadata }) => ({ memberId, topic: decodeSubscription(metadata) ?? '' }))
    .toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1))
  return wanted.map(({ memberId, topic }) => {
    const sharing = wanted.filter((other) => other.topic === topic)
    const turn = sharing.findIndex((other) => other.memberId === memberId)
    const own = Array.from({ length: partitionsOf(topic) }, (_, partition) => partition).filter(
      (partition) => partition % sharing.length === turn,
    )
    return { memberId, assignment: encodeAssignment(topic, own) }
  })
}
