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
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ApiProxy } from './api-proxy.ts'
import { ApiServer } from './api-server.ts'
import { goTool } from './artefacts.ts'
import { keepingPreconditions } from './gcs/proxy/rule.ts'
import { freePorts } from './ports.ts'

const MODULE = 'github.com/fsouza/fake-gcs-server'
const VERSION = 'v1.56.1'

export interface GcsOptions {
  /** Port for clients; a free one by default. */
  readonly port?: number
  /** Where objects and logs are kept; by default a temporary folder that goes when it is stopped. */
  readonly folder?: string
  /** Outlives this process; no fault is then injected into it. */
  readonly detached?: boolean
}

/** Builds the server when it is not there yet (some minutes); returns the program's path. */
export function prepareGcs(): string {
  return join(goTool(MODULE, VERSION), 'fake-gcs-server')
}

/** Where a server whose data is in `folder` has its objects as files: `<bucket>/<name>`. */
export function objectsFolder(folder: string): string {
  return join(folder, 'objects')
}

export async function startGcs(options: GcsOptions = {}): Promise<Gcs> {
  const command = prepareGcs()
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'backhaul-gcs-'))
  const [targetPort = 0, freePort = 0] = await freePorts(2)
  const port = options.port ?? freePort
  // Clients name the proxy, and are sent to it.
  const proxy = `127.0.0.1:${port}`
  const server = await ApiServer.start({
    name: 'gcs',
    folder,
    temporary: options.folder === undefined,
    port,
    targetPort,
    command,
    args: [
      '-scheme=http',
      '-host=127.0.0.1',
      `-port=${targetPort}`,
      `-public-host=${proxy}`,
      `-external-url=http://${proxy}`,
      '-backend=filesystem',
      `-filesystem-root=${objectsFolder(folder)}`,
    ],
    readyLine: 'server started at',
    proxy: {
      rule: keepingPreconditions(),
      script: join(import.meta.dirname, 'gcs', 'proxy', 'main.ts'),
      args: [],
    },
    detached: options.detached ?? false,
  })
  return new Gcs(server, folder)
}

export class Gcs {
  readonly #server: ApiServer
  /** Where the server has objects as files: `<bucket>/<name>`. */
  readonly objectsFolder: string

  constructor(server: ApiServer, folder: string) {
    this.#server = server
    this.objectsFolder = objectsFolder(folder)
  }

  /** Where clients reach it, through the proxy. */
  get endpoint(): string {
    return this.#server.endpoint
  }

  get proxy(): ApiProxy {
    return this.#server.proxy
  }

  async createBucket(name: string): Promise<void> {
    const answer = await fetch(`${this.endpoint}/storage/v1/b?project=local`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name }),
    })
    if (!answer.ok) throw new Error(`bucket ${name} was not created: ${await answer.text()}`)
  }

  start(): Promise<void> {
    return this.#server.start()
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }

  /** Ends the server without warning, as a crash would; its objects stay. */
  kill(): Promise<void> {
    return this.#server.kill()
  }
}
