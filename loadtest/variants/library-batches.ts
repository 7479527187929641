/** Stands in for `shared/kafka/record-batch.ts`: the encoder of @platformatic/kafka itself. */
import { createRecordsBatch, type MessageRecord } from '@platformatic/kafka'
import type { NewRecord } from '../../shared/log/event-log.ts'

const OPTIONS = {
  compression: 'zstd',
  producerId: -1n,
  producerEpoch: -1,
  firstSequence: -1,
} as const

export class RecordBatchEncoder {
  encode(records: readonly NewRecord[]): Buffer {
    return createRecordsBatch(records.map(messageOf), OPTIONS).buffer
  }
}

function messageOf({ key, value, headers }: NewRecord): MessageRecord {
  return {
    topic: '',
    value: Buffer.from(value.buffer, value.byteOffset, value.byteLength),
    headers: new Map(
      Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)]),
    ),
    ...(key === undefined ? {} : { key: Buffer.from(key) }),
  }
}
