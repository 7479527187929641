/** A server that speaks an API of the cloud, behind the proxy that adds what it lacks. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ApiProxy, PROXY_READY, type ApiRule } from './api-proxy.ts'
import { ServerProcess } from './server-process.ts'

export interface ApiServerSpec {
  readonly name: string
  /** Holds the data, and a folder for each process. */
  readonly folder: string
  /** Whether the folder goes when the server is stopped. */
  readonly temporary: boolean
  /** Port of the proxy: the one that clients know. */
  readonly port: number
  readonly targetPort: number
  readonly command: string
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Text of the log line that says the server is ready. */
  readonly readyLine: string
  readonly proxy: {
    readonly rule: ApiRule
    /** The script that runs the same rule in a process of its own; it is given both ports and these. */
    readonly script: string
    readonly args: readonly string[]
  }
  /** Outlives this process; its proxy is then a process of its own, which no fault is injected into. */
  readonly detached: boolean
}

export class ApiServer {
  readonly #spec: ApiServerSpec
  readonly #server: ServerProcess
  #proxy: ApiProxy | undefined

  constructor(spec: ApiServerSpec) {
    this.#spec = spec
    this.#server = new ServerProcess({
      ...spec,
      folder: join(spec.folder, 'server'),
      port: spec.targetPort,
    })
  }

  /** Starts it with its proxy; when that fails, nothing of it runs. */
  static async start(spec: ApiServerSpec): Promise<ApiServer> {
    const server = new ApiServer(spec)
    try {
      await server.start()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  /** Where clients reach it, through the proxy. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#spec.port}`
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

  async stop(): Promise<void> {
    await this.#proxy?.stop()
    await this.#server.stop()
    if (this.#spec.temporary) rmSync(this.#spec.folder, { recursive: true, force: true })
  }

  /** Ends the server without warning, as a crash would; its data stays. */
  async kill(): Promise<void> {
    await this.#server.kill()
  }

  async #startProxy(): Promise<void> {
    const { name, folder, port, targetPort, proxy, detached } = this.#spec
    if (!detached) {
      this.#proxy = await ApiProxy.start({ port, targetPort, rule: proxy.rule })
      return
    }
    await new ServerProcess({
      name: `${name} proxy`,
      folder: join(folder, 'proxy'),
      command: process.execPath,
      args: [proxy.script, `${port}`, `${targetPort}`, ...proxy.args],
      port,
      readyLine: PROXY_READY,
      detached,
    }).start()
  }
}
