/**
 * The data folder of the embedded stores: its format, who holds it, and the secrets made for it.
 *
 * The folder is held through a listening socket rather than a file with a process id: the system
 * frees a socket when its process dies, however it dies, so a kill never leaves a stale lock.
 */
import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { describeValue } from '../shared/runtime/errors.ts'
import { standaloneErrors } from './errors.ts'

/** Version of the folder's layout; an older or newer folder is refused, never converted silently. */
const DATA_FORMAT = 1
/** How long to wait for the present holder to say who it is, ms. */
const HOLDER_ANSWER_MS = 1_000

export interface DataFolder {
  readonly path: string
  readonly logFolder: string
  readonly speedFolder: string
  readonly objectsFolder: string
  /** A secret kept in the folder (mode 0600), made at first use: 32 random bytes, base64. */
  secret(name: string): string
  release(): Promise<void>
}

/** Opens and holds the folder; throws `STANDALONE_DATA_*`, naming the setting. */
export async function holdDataFolder(path: string): Promise<DataFolder> {
  try {
    makeFolder(path)
    checkFormat(path)
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'BackhaulError') throw cause
    throw standaloneErrors.create('STANDALONE_DATA_UNUSABLE', {
      expected: 'BACKHAUL_DATA_DIR to name a folder that can be written',
      received: `${path} (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`,
      cause,
    })
  }
  const server = await listenAsHolder(path, holderAddress(path))
  return {
    path,
    logFolder: join(path, 'log'),
    speedFolder: join(path, 'speed'),
    objectsFolder: join(path, 'objects'),
    secret: (name) => readOrMakeSecret(join(path, 'secrets'), name),
    release: () => new Promise((resolve) => server.close(() => resolve())),
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

function checkFormat(path: string): void {
  const file = join(path, 'format.json')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    writeFileSync(file, `${JSON.stringify({ format: DATA_FORMAT })}\n`)
    return
  }
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

/**
 * Linux has abstract sockets, which leave no file; elsewhere a socket file is used and a dead one
 * is replaced. The name is derived from the folder's identity, so two spellings of it meet.
 */
export function holderAddress(path: string, platform: string = process.platform): string {
  const real = realpathSync(path)
  if (platform !== 'linux') return join(real, 'server.sock')
  const { dev, ino } = statSync(real)
  const identity = createHash('sha256').update(`${dev}:${ino}:${real}`).digest('hex').slice(0, 32)
  return `\0backhaul-${identity}`
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
    received: `${path}, held by process ${holder ?? 'unknown'}`,
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

/** The process id the holder answers with; `undefined` when nobody answers. */
function askHolder(address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = createConnection(address)
    socket.setTimeout(HOLDER_ANSWER_MS, () => socket.destroy())
    socket.on('data', (chunk) => (answer += chunk.toString()))
    socket.on('error', () => resolve(undefined))
    socket.on('close', () => resolve(answer === '' ? undefined : answer))
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
