/**
 * What a row costs a real Cassandra and the client that puts it: rows that a fold hands out, put by the
 * product's own store as fast as they are acknowledged. The node syncs its commit log as one of three
 * replicas does, and its CPU time includes what it flushes and compacts until it is at rest again.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { startCassandra } from '../scripts/services/cassandra.ts'

export const ROW_KINDS = ['minutes', 'sessions'] as const
export type RowKind = (typeof ROW_KINDS)[number]

/** What the process that puts the rows prints, after a warm-up that is in none of it. */
export interface PutTimes {
  /** From the first put to the last acknowledgement. */
  readonly wallMs: number
  readonly clientCpuMs: number
  /** Of the node. */
  readonly nodeCpuMs: number
  /** Of calls of a hundred rows. */
  readonly putP50Ms: number
  readonly putP99Ms: number
}

export interface RowCost extends PutTimes {
  readonly kind: RowKind
  readonly rows: number
}

export interface RowsOptions {
  /** Of the rows of a full run, up to 1. */
  readonly share: number
  said(line: string): void
}

const ROWS: Readonly<Record<RowKind, number>> = { minutes: 800_000, sessions: 200_000 }
/** The node compiles its hot path while it serves this. */
const WARM_UP_ROWS = 400_000
const RUN_DEADLINE_MS = 400_000
const SCRIPT = join(import.meta.dirname, 'bench', 'cassandra-put-process.ts')

export async function measureCassandraRows({ share, said }: RowsOptions): Promise<RowCost[]> {
  const cassandra = await startCassandra({ profile: 'load', commitLogSync: 'periodic' })
  const put = async (kind: RowKind, fullRows: number): Promise<RowCost> => {
    const rows = Math.ceil(fullRows * share)
    const args = [SCRIPT, cassandra.contactPoint, kind, `${rows}`, `${cassandra.pid}`]
    return { kind, rows, ...(JSON.parse(await outputOf(args)) as PutTimes) }
  }
  try {
    await put('minutes', WARM_UP_ROWS)
    const costs: RowCost[] = []
    for (const kind of ROW_KINDS) {
      costs.push(await put(kind, ROWS[kind]))
      said(`rows of ${kind} are put`)
    }
    return costs
  } finally {
    await cassandra.stop()
  }
}

/** Standard output of a script of Node. */
function outputOf(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: RUN_DEADLINE_MS }
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const how = error.signal ?? `exit code ${error.code}`
      reject(new Error(`rows were not put (${how}): ${stderr}${stdout}`))
    })
  })
}
