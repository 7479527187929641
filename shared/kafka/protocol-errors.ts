/** Kafka's error codes that the event log tells apart; others are failures that may pass. */
import { logErrors } from '../log/log-errors.ts'
import type { BackhaulError } from '../runtime/errors.ts'

export const ERROR = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeaderOrFollower: 6,
  requestTimedOut: 7,
  replicaNotAvailable: 9,
  messageTooLarge: 10,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  topicAlreadyExists: 36,
  notController: 41,
  kafkaStorageError: 56,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  offsetNotAvailable: 78,
  memberIdRequired: 79,
  fencedInstanceId: 82,
} as const

const NAMES = new Map<number, string>(
  Object.entries(ERROR).map(([name, code]) => [
    code,
    name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
  ]),
)

/** After these the partition's leader is looked up anew. */
const STALE_LEADER: ReadonlySet<number> = new Set([
  ERROR.unknownTopicOrPartition,
  ERROR.leaderNotAvailable,
  ERROR.notLeaderOrFollower,
  ERROR.replicaNotAvailable,
  ERROR.kafkaStorageError,
  ERROR.fencedLeaderEpoch,
  ERROR.unknownLeaderEpoch,
])
const STALE_COORDINATOR: ReadonlySet<number> = new Set([
  ERROR.coordinatorLoadInProgress,
  ERROR.coordinatorNotAvailable,
  ERROR.notCoordinator,
])
const NOT_AUTHORIZED: ReadonlySet<number> = new Set([
  ERROR.topicAuthorizationFailed,
  ERROR.groupAuthorizationFailed,
  ERROR.clusterAuthorizationFailed,
])
const TOO_LARGE: ReadonlySet<number> = new Set([ERROR.messageTooLarge, ERROR.recordListTooLarge])
const FENCED: ReadonlySet<number> = new Set([
  ERROR.illegalGeneration,
  ERROR.unknownMemberId,
  ERROR.fencedInstanceId,
])

export function meansStaleLeader(code: number): boolean {
  return STALE_LEADER.has(code)
}

export function meansStaleCoordinator(code: number): boolean {
  return STALE_COORDINATOR.has(code)
}

/** The group no longer knows the member, or not under this generation. */
export function meansFenced(code: number): boolean {
  return FENCED.has(code)
}

/** Kafka's name of the code, for people. */
export function errorName(code: number): string {
  return NAMES.get(code) ?? `Kafka error ${code}`
}

/** The event log's error for a broker's refusal of `what`. */
export function refusal(code: number, what: string): BackhaulError {
  const received = `${errorName(code)} for ${what}`
  if (TOO_LARGE.has(code)) return logErrors.create('LOG_RECORD_TOO_LARGE', { received })
  if (NOT_AUTHORIZED.has(code)) return logErrors.create('LOG_NOT_AUTHORIZED', { received })
  if (FENCED.has(code)) return logErrors.create('LOG_GROUP_FENCED', { received })
  return logErrors.create('LOG_UNAVAILABLE', { received })
}
