/**
 * How many bytes a statement would read, which BigQuery says of a dry run and its stand-in says is
 * nothing. BigQuery counts the columns that are named, in the partitions that constants choose; here
 * each table that a statement names is of one size, whatever is read of it.
 */
import type { ApiAnswer, ApiRequest } from '../../api-proxy.ts'

export const BYTES_OF_A_TABLE = 2 ** 20

const TABLE = /`([^`.]+\.[^`.]+\.[^`.]+)`/g

interface QueryRequest {
  readonly query?: string
  readonly dryRun?: boolean
}

/** The answer to a dry run with the bytes in it; another one as it is. */
export function withBytes({ body }: ApiRequest, answer: ApiAnswer): ApiAnswer {
  const { query = '', dryRun } = JSON.parse(body.toString()) as QueryRequest
  if (dryRun !== true || answer.status !== 200) return answer
  const names = new Set([...query.matchAll(TABLE)].map(([, name]) => name))
  const value = JSON.parse(answer.body.toString()) as object
  const totalBytesProcessed = `${names.size * BYTES_OF_A_TABLE}`
  return { ...answer, body: Buffer.from(JSON.stringify({ ...value, totalBytesProcessed })) }
}
