/**
 * How every LMDB folder of the product is opened. `overlappingSync` is off, so a write's promise
 * resolves when `fdatasync` and the write of the synced meta page have returned, not at commit: a
 * promise is an acknowledgement. Event-turn batching is off because the batch that it adds rejects
 * a promise nobody holds when a commit fails. Keys and values are plain bytes; keys sort bytewise.
 */
import { closeSync, existsSync, fsyncSync, openSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'

export type Table = Database<Buffer, Buffer>

export interface LmdbRoot {
  readonly database: RootDatabase<Buffer, Buffer>
  /** Opens the named table, creating it when it is missing; throws when it may not. */
  table(name: string, options?: { readonly versions: boolean }): Table
}

const TABLES_MAX = 16
const BINARY = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const

/** Opened for reading only, the folder must hold an environment already. */
export function openLmdbRoot(folder: string, mapBytes: number, readOnly = false): LmdbRoot {
  // LMDB's binding would make a folder that is missing.
  if (readOnly && !existsSync(join(folder, 'data.mdb'))) throw new Error(`no store in ${folder}`)
  const database = open<Buffer, Buffer>({
    path: folder,
    noSubdir: false,
    mapSize: mapBytes,
    maxDbs: TABLES_MAX,
    overlappingSync: false,
    eventTurnBatching: false,
    readOnly,
    ...BINARY,
  })
  if (!readOnly) {
    // LMDB syncs its files but not the folders that hold their names.
    syncFolder(resolve(folder))
    syncFolder(dirname(resolve(folder)))
  }
  return { database, table: (name, options) => openTable(database, name, options?.versions) }
}

function openTable(database: RootDatabase<Buffer, Buffer>, name: string, useVersions = false) {
  const options = { ...BINARY, useVersions }
  // Where it may not create a table, the binding answers nothing, against its own types.
  const table: Table | undefined = database.openDB<Buffer, Buffer>(name, options)
  if (table === undefined) throw new Error(`no table ${name} in the store`)
  return table
}

function syncFolder(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * What made a commit fail. LMDB rejects every write of the commit with one error that carries a
 * promise of the cause, which must be awaited, or the process ends over an unhandled rejection.
 */
export async function commitCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error
  try {
    await error.commitError
    return error
  } catch (cause) {
    return cause
  }
}

const ERRNO = { io: 5, fileTooLarge: 27, noSpace: 28, quota: 122 }
const MAP_FULL = -30792
const CODES_OF_FULL: ReadonlySet<unknown> = new Set([
  MAP_FULL,
  ERRNO.noSpace,
  ERRNO.fileTooLarge,
  ERRNO.quota,
  'ENOSPC',
  'EFBIG',
  'EDQUOT',
])

/** Whether the cause of a failed write is that no space is left. */
export function isFull(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && CODES_OF_FULL.has(cause.code)
}

/** Whether the cause is an input/output error; LMDB reports so a write cut short by a full disk. */
export function isInputOutput(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === ERRNO.io
}
