/** A release of a chart on an API server, by helm. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { KubernetesApi } from './kubernetes-api.ts'
import type { KubernetesClient } from './kubernetes-client.ts'

/** For a hook, on a machine that is busy. */
const HOOK_TIMEOUT = '120s'
const OUTPUT_MAX_BYTES = 64 * 2 ** 20

const run = promisify(execFile)

interface ReleaseSpec {
  readonly helm: string
  readonly api: KubernetesApi
  readonly name: string
  /** Of the chart. */
  readonly folder: string
  /** Options that name its values. */
  readonly values: readonly string[]
}

export interface ReleaseStatus {
  readonly status: string
  readonly revision: number
}

export class Release {
  readonly #spec: ReleaseSpec

  constructor(spec: ReleaseSpec) {
    this.#spec = spec
  }

  /** A release has a namespace of its name. */
  get namespace(): string {
    return this.#spec.name
  }

  get client(): KubernetesClient {
    return this.#spec.api.client
  }

  /** Makes the namespace, with the account that a controller would give it. */
  async prepare(): Promise<void> {
    const { client, namespace } = this
    await client.create(`{apiVersion: v1, kind: Namespace, metadata: {name: ${namespace}}}`, '')
    const account = '{apiVersion: v1, kind: ServiceAccount, metadata: {name: default}}'
    await client.create(account, namespace)
  }

  async install(): Promise<void> {
    await this.#change('install')
  }

  async upgrade(...more: readonly string[]): Promise<void> {
    await this.#change('upgrade', ...more)
  }

  async rollback(revision: number): Promise<void> {
    await this.#helm('rollback', `${revision}`, '--timeout', HOOK_TIMEOUT)
  }

  /** Runs the pods of `helm test`. */
  async test(): Promise<void> {
    await this.#helm('test', '--timeout', HOOK_TIMEOUT)
  }

  async uninstall(): Promise<void> {
    await this.#helm('uninstall', '--timeout', HOOK_TIMEOUT)
  }

  async status(): Promise<ReleaseStatus> {
    const told = JSON.parse(await this.#helm('status', '--output', 'json')) as {
      readonly info: { readonly status: string }
      readonly version: number
    }
    return { status: told.info.status, revision: told.version }
  }

  /** What the newest revision has, as YAML documents, hooks left out. */
  async manifest(): Promise<string[]> {
    const text = await this.#helm('get manifest')
    return text.split(/^---$/m).filter((document) => /^kind:/m.test(document))
  }

  async #change(how: string, ...more: readonly string[]): Promise<void> {
    const { folder, values } = this.#spec
    await this.#helm(how, folder, ...values, ...more, '--timeout', HOOK_TIMEOUT)
  }

  async #helm(command: string, ...args: readonly string[]): Promise<string> {
    const { helm, api, name } = this.#spec
    const whole = [...command.split(' '), name, ...args, '--namespace', this.namespace]
    const env = { ...process.env, KUBECONFIG: api.kubeconfig }
    try {
      return (await run(helm, whole, { env, maxBuffer: OUTPUT_MAX_BYTES })).stdout
    } catch (error) {
      const stderr = error instanceof Error && 'stderr' in error ? error.stderr : error
      throw new Error(`helm ${command} of ${name}: ${String(stderr).trim()}`, { cause: error })
    }
  }
}
