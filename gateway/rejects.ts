/**
 * Records of `playback.rejects`: what was refused for good, with its reason in clear and its bytes
 * sealed, because they may hold a raw viewer id.
 */
import type { NewRecord } from '../shared/log/event-log.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { encodeReject, type RejectRecord, type Sealer } from '../shared/log/reject-record.ts'

/** What is refused; its bytes are copied while sealing. */
export interface Rejected extends Omit<RejectRecord, 'sealed' | 'source'> {
  readonly bytes: Uint8Array
}

export interface PlacedRecord {
  readonly partition: number
  readonly record: NewRecord
}

export interface RejectsOptions {
  readonly sealer: Sealer
  readonly partitions: number
  readonly headers: Readonly<Record<string, string>>
}

export class Rejects {
  readonly #options: RejectsOptions
  #nextPartition = 0

  constructor(options: RejectsOptions) {
    this.#options = options
  }

  /** A session's rejects share a partition; those without a session are spread. */
  place(rejected: Rejected): PlacedRecord {
    const { sealer, partitions, headers } = this.#options
    const { bytes, ...reason } = rejected
    const key = rejected.sessionId
    this.#nextPartition = (this.#nextPartition + 1) % partitions
    return {
      partition: key === undefined ? this.#nextPartition : partitionOf(key, partitions),
      record: { key, value: encodeReject({ ...reason, sealed: sealer.seal(bytes) }), headers },
    }
  }
}
