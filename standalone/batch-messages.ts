/**
 * What a standalone server and the process of its batch say to each other, over the channel that
 * node opens to a child (structured clone, so bigint passes). Requests carry an id that the answers
 * repeat; rows come in slices, so that neither side is busy with one message for long.
 */
import { BackhaulError, errorToData, type ErrorData } from '../shared/runtime/errors.ts'
import type { BatchActivity } from '../shared/warehouse/batch-activity.ts'
import type { QueryLimits, Row, RowValue, Select } from '../shared/warehouse/warehouse.ts'
import { standaloneErrors } from './errors.ts'

export type ToBatch =
  | { readonly kind: 'open'; readonly id: number }
  | {
      readonly kind: 'query'
      readonly id: number
      readonly session: number
      readonly select: Select
      readonly limits: QueryLimits
    }
  | { readonly kind: 'metrics'; readonly id: number }
  /** Not answered. */
  | { readonly kind: 'close'; readonly session: number }
  /** Answered by the end of the process. */
  | { readonly kind: 'stop' }

export type FromBatch =
  | { readonly kind: 'ready' }
  | { readonly kind: 'activity'; readonly activity: BatchActivity; readonly runEnded: boolean }
  | { readonly kind: 'opened'; readonly id: number; readonly session: number }
  | { readonly kind: 'rows'; readonly id: number; readonly slice: RowSlice }
  | { readonly kind: 'done'; readonly id: number }
  | { readonly kind: 'metrics'; readonly id: number; readonly text: string }
  | { readonly kind: 'failed'; readonly id: number; readonly error: ErrorData }

/** Rows without their column names repeated. */
export interface RowSlice {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly RowValue[])[]
}

export function toSlice(rows: readonly Row[]): RowSlice {
  const columns = Object.keys(rows[0] ?? {})
  return { columns, rows: rows.map((row) => columns.map((column) => row[column] ?? null)) }
}

export function fromSlice({ columns, rows }: RowSlice): Row[] {
  return rows.map((values) =>
    Object.fromEntries(columns.map((column, index) => [column, values[index] ?? null])),
  )
}

/** A typed error as it is; of anything else only that it happened, for it may say anything. */
export function toErrorData(error: unknown): ErrorData {
  return errorToData(
    error instanceof BackhaulError ? error : standaloneErrors.create('STANDALONE_BATCH_FAILED'),
  )
}
