/** What every load must show whatever its speed: k6's books against the independent reader's. */
import type { LoadReport } from '../load/report.ts'
import type { Claim, ClaimKind } from './proof.ts'

/**
 * What was sent and never acknowledged is the client's still, and no more than a load that was too
 * much; when it is none, the others say that sent, acknowledged and in Kafka are the same events.
 */
export function countClaims({
  summary,
  inKafka,
}: Pick<LoadReport, 'summary' | 'inKafka'>): Claim[] {
  const { eventsSent, eventsAcknowledged, errors } = summary
  const { distinctEvents, foreignEvents } = inKafka
  const missing = Math.max(0, eventsAcknowledged - distinctEvents)
  const invented = Math.max(0, distinctEvents - eventsSent) + foreignEvents
  return [
    none('correctness', 'acknowledged and not in Kafka', missing),
    none('correctness', 'in Kafka and never sent', invented),
    none('correctness', 'rejected', errors),
    none('floor', 'sent and not acknowledged by the end', eventsSent - eventsAcknowledged),
  ]
}

function none(kind: ClaimKind, what: string, measured: number): Claim {
  return { kind, what, measured, unit: 'events', bound: { atMost: 0 } }
}
