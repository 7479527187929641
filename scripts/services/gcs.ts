/**
 * A server that speaks the API of GCS, its objects in a folder of its own, behind a proxy that adds
 * what it lacks and can make requests fail.
 *
 * ```ts
 * const gcs = await startGcs()
 * … await gcs.createBucket('a') … gcs.endpoint … gcs.proxy.inject({ … }) …
 * await gcs.stop()
 * ```
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiProxy } from './api-proxy.ts'
import { goTool } from './artefacts.ts'
import { keepingPreconditions, PROXY_READY } from './gcs/proxy/rule.ts'
import { freePorts } from './ports.ts'
import { ServerProcess } from './server-process.ts'

const MODULE = 'github.com/fsouza/fake-gcs-server'
const VERSION = 'v1.56.1'

export interface GcsOptions {
  /** Port for clients; a free one by default. */
  readonly port?: number
  /** Where objects and logs are kept; by default a temporary folder that goes when it is stopped. */
  readonly folder?: string
  /** Outlives this process; its proxy is then a process of its own, which no fault is injected into. */
  readonly detached?: boolean
}

/** Builds the server when it is not there yet (some minutes); returns the program's path. */
export function prepareGcs(): string {
  return join(goTool(MODULE, VERSION), 'fake-gcs-server')
}

export async function startGcs(options: GcsOptions = {}): Promise<Gcs> {
  const program = prepareGcs()
  const temporary = options.folder === undefined
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'backhaul-gcs-'))
  const [targetPort = 0, freePort = 0] = await freePorts(2)
  const port = options.port ?? freePort
  const gcs = new Gcs({ program, folder, port, targetPort, temporary, options })
  try {
    await gcs.start()
  } catch (error) {
    await gcs.stop()
    throw error
  }
  return gcs
}

interface GcsParts {
  readonly program: string
  readonly folder: string
  readonly port: number
  readonly targetPort: number
  readonly temporary: boolean
  readonly options: GcsOptions
}

export class Gcs {
  readonly #parts: GcsParts
  readonly #server: ServerProcess
  #proxy: ApiProxy | undefined

  constructor(parts: GcsParts) {
    this.#parts = parts
    this.#server = new ServerProcess({
      name: 'gcs',
      folder: join(parts.folder, 'server'),
      command: parts.program,
      args: this.#arguments(),
      port: parts.targetPort,
      readyLine: 'server started at',
      detached: parts.options.detached ?? false,
    })
  }

  /** Where clients reach it, through the proxy. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#parts.port}`
  }

  get proxy(): ApiProxy {
    if (this.#proxy === undefined) throw new Error('the proxy is a process of its own')
    return this.#proxy
  }

  /** Starts the server, and its proxy where it does not run. */
  async start(): Promise<void> {
    await this.#server.start()
    if (this.#proxy === undefined) await this.#startProxy()
  }

  async createBucket(name: string): Promise<void> {
    const answer = await fetch(`${this.endpoint}/storage/v1/b?project=local`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name }),
    })
    if (!answer.ok) throw new Error(`bucket ${name} was not created: ${await answer.text()}`)
  }

  async stop(): Promise<void> {
    await this.#proxy?.stop()
    await this.#server.stop()
    if (this.#parts.temporary) rmSync(this.#parts.folder, { recursive: true, force: true })
  }

  /** Ends the server without warning, as a crash would; its objects stay. */
  async kill(): Promise<void> {
    await this.#server.kill()
  }

  #arguments(): string[] {
    const { folder, port, targetPort } = this.#parts
    // Clients name the proxy, and are sent to it.
    const proxy = `127.0.0.1:${port}`
    return [
      '-scheme=http',
      '-host=127.0.0.1',
      `-port=${targetPort}`,
      `-public-host=${proxy}`,
      `-external-url=http://${proxy}`,
      '-backend=filesystem',
      `-filesystem-root=${join(folder, 'objects')}`,
    ]
  }

  async #startProxy(): Promise<void> {
    const { folder, port, targetPort, options } = this.#parts
    if (options.detached !== true) {
      this.#proxy = await ApiProxy.start({ port, targetPort, rule: keepingPreconditions() })
      return
    }
    await new ServerProcess({
      name: 'gcs proxy',
      folder: join(folder, 'proxy'),
      command: process.execPath,
      args: [join(import.meta.dirname, 'gcs', 'proxy', 'main.ts'), `${port}`, `${targetPort}`],
      port,
      readyLine: PROXY_READY,
      detached: true,
    }).start()
  }
}
