/**
 * The data folder of the embedded stores: its format, who holds it, and the secrets made for it.
 *
 * The folder is held through a listening socket rather than a file with a process id: the system
 * frees a socket when its process dies, however it dies, so a kill never leaves a stale lock.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { describeValue } from '../shared/runtime/errors.ts'
import { askHolder, holderAddress, type Holder } from '../shared/runtime/folder-holder.ts'
import { standaloneErrors } from './errors.ts'

/** Version of the folder's layout; an older or newer folder is refused, never converted silently. */
const DATA_FORMAT = 1

/** What a second process, such as a command beside the server, knows of the folder. */
export interface DataFolder {
  readonly path: string
  readonly logFolder: string
  readonly speedFolder: string
  readonly objectsFolder: string
  readonly relaySpoolFolder: string
  /** A secret kept in the folder (mode 0600), made at first use: 32 random bytes, base64. */
  secret(name: string): string
  /** The server that holds the folder at this moment, if any. */
  holder(): Promise<Holder | undefined>
}

export interface HeldDataFolder extends DataFolder {
  release(): Promise<void>
}

/** Opens and holds the folder; throws `STANDALONE_DATA_*`, naming the setting. */
export async function holdDataFolder(path: string): Promise<HeldDataFolder> {
  checkFolder(path, () => {
    makeFolder(path)
    if (!existsSync(formatFile(path)))
      writeFileSync(formatFile(path), `${JSON.stringify({ format: DATA_FORMAT })}\n`)
  })
  const server = await listenAsHolder(path, holderAddress(path))
  return {
    ...foldersOf(path),
    release: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/**
 * Opens the folder that a server made, without holding it, whether one runs or not; throws
 * `STANDALONE_DATA_*`, naming the setting, and makes nothing.
 */
export function openDataFolder(path: string): DataFolder {
  checkFolder(path, () => {
    if (!existsSync(formatFile(path)))
      throw standaloneErrors.create('STANDALONE_DATA_ABSENT', {
        expected: 'BACKHAUL_DATA_DIR to name the data folder of a server',
        received: `${path}, which holds none`,
      })
  })
  return foldersOf(path)
}

function checkFolder(path: string, prepare: () => void): void {
  try {
    prepare()
    checkFormat(path)
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'BackhaulError') throw cause
    throw standaloneErrors.create('STANDALONE_DATA_UNUSABLE', {
      expected: 'BACKHAUL_DATA_DIR to name a folder that can be written',
      received: `${path} (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`,
      cause,
    })
  }
}

function foldersOf(path: string): DataFolder {
  return {
    path,
    logFolder: join(path, 'log'),
    speedFolder: join(path, 'speed'),
    objectsFolder: join(path, 'objects'),
    relaySpoolFolder: join(path, 'relay-spool'),
    secret: (name) => readOrMakeSecret(join(path, 'secrets'), name),
    holder: () => askHolder(holderAddress(path)),
  }
}

/**
 * Makes the folder and those above it that are missing. Node's own recursive `mkdir` tries for ever
 * where a file system has no folders to make, such as /proc.
 */
function makeFolder(path: string): void {
  const missing: string[] = []
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at)
  for (const folder of missing.toReversed()) {
    try {
      mkdirSync(folder)
    } catch (cause) {
      // Another process was first.
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    }
  }
}

function formatFile(path: string): string {
  return join(path, 'format.json')
}

function checkFormat(path: string): void {
  const text = readFileSync(formatFile(path), 'utf8')
  let format: unknown
  try {
    format = (JSON.parse(text) as { format?: unknown }).format
  } catch {
    format = text
  }
  if (format !== DATA_FORMAT)
    throw standaloneErrors.create('STANDALONE_DATA_FORMAT', {
      expected: `format ${DATA_FORMAT} in the folder BACKHAUL_DATA_DIR names (${path})`,
      received: describeValue(format),
    })
}

export async function listenAsHolder(path: string, address: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.end(`${process.pid}`)
  })
  server.unref()
  if (await tryListen(server, address)) return server
  const holder = await askHolder(address)
  if (holder === undefined && !address.startsWith('\0')) {
    rmSync(address, { force: true })
    if (await tryListen(server, address)) return server
  }
  throw standaloneErrors.create('STANDALONE_DATA_HELD', {
    expected: `BACKHAUL_DATA_DIR to name a folder that no server holds`,
    received: `${path}, held by process ${holder?.processId ?? 'unknown'}`,
  })
}

function tryListen(server: Server, address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      server.removeListener('listening', listening)
      if (error.code === 'EADDRINUSE') resolve(false)
      else reject(error)
    }
    const listening = () => {
      server.removeListener('error', failed)
      resolve(true)
    }
    server.once('error', failed)
    server.once('listening', listening)
    server.listen(address)
  })
}

function readOrMakeSecret(folder: string, name: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, name)
  if (!existsSync(file)) {
    // Written beside and linked into place, so that a crash never leaves half a secret.
    const draft = `${file}.${process.pid}`
    writeFileSync(draft, randomBytes(32).toString('base64'), { mode: 0o600, flush: true })
    try {
      linkSync(draft, file)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    }
    rmSync(draft)
  }
  return readFileSync(file, 'utf8')
}
