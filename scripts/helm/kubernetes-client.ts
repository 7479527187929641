/** The little of Kubernetes' API that is needed to look at what a release has made, and to end its hooks. */
import { request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse } from 'yaml'

const READY_DEADLINE_MS = 120_000
const POLL_MS = 200

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly status?: Readonly<Record<string, unknown>>
}

/** The part of a definition that names what it defines. */
interface Definition {
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string }
    readonly versions: readonly { readonly name: string; readonly served: boolean }[]
  }
}

interface Endpoint {
  readonly port: number
  readonly token: string
  /** Of the server, in PEM. */
  readonly certificate: string
}

interface Answer {
  readonly status: number
  readonly body: string
}

interface Body {
  readonly type: string
  readonly text: string
}

/** A kind of objects, as the server tells of it. */
interface ApiResource {
  /** In paths. */
  readonly name: string
  readonly kind: string
  readonly namespaced: boolean
  readonly verbs: readonly string[]
}

export class KubernetesClient {
  readonly #endpoint: Endpoint
  /** By group and version. */
  readonly #resources = new Map<string, readonly ApiResource[]>()

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint
  }

  async untilReady(): Promise<void> {
    await this.#until('/readyz?verbose', () => true)
  }

  /** Makes custom resources known by their definition, and waits until they are served. */
  async define(document: string): Promise<void> {
    await this.create(document, '')
    const { group, names, versions } = (parse(document) as Definition).spec
    for (const { name } of versions.filter(({ served }) => served))
      await this.#until(`/apis/${group}/${name}`, (body) =>
        resourcesIn(body).some(({ kind }) => kind === names.kind),
      )
  }

  /** The stored object that has the kind and name of `object`; `undefined` when there is none. */
  async stored(object: KubernetesObject, namespace: string): Promise<KubernetesObject | undefined> {
    const folder = await this.#folderOf(object, namespace)
    const { status, body } = await this.#ask('GET', `${folder}/${object.metadata.name}`)
    if (status === 404) return undefined
    return JSON.parse(successful(status, body)) as KubernetesObject
  }

  /** Makes an object of a YAML document; unknown fields are refused. */
  async create(document: string, namespace: string): Promise<void> {
    const { status, body } = await this.#create(document, namespace, '')
    successful(status, body)
  }

  /** Why an object would be refused, nothing being stored; `undefined` when it would not. */
  async refusal(document: string, namespace: string): Promise<string | undefined> {
    const { status, body } = await this.#create(document, namespace, '&dryRun=All')
    return status < 400 ? undefined : body
  }

  /** Sets fields of an object's status, as controllers do; one that has gone meanwhile is left alone. */
  async setStatus(object: KubernetesObject, namespace: string, fields: object): Promise<void> {
    const folder = await this.#folderOf(object, namespace)
    const { status, body } = await this.#ask('PATCH', `${folder}/${object.metadata.name}/status`, {
      type: 'application/merge-patch+json',
      text: JSON.stringify({ status: fields }),
    })
    if (status !== 404) successful(status, body)
  }

  /** Every object of a namespace, whatever its kind. */
  async all(namespace: string): Promise<KubernetesObject[]> {
    const found: KubernetesObject[] = []
    for (const version of await this.#versions())
      for (const resource of await this.#resourcesOf(version))
        if (resource.namespaced && resource.verbs.includes('list'))
          found.push(...(await this.#list(version, resource, namespace)))
    return found
  }

  async list(apiVersion: string, kind: string, namespace: string): Promise<KubernetesObject[]> {
    return this.#list(apiVersion, await this.#resourceOf(apiVersion, kind), namespace)
  }

  async #list(
    apiVersion: string,
    { name, kind }: ApiResource,
    namespace: string,
  ): Promise<KubernetesObject[]> {
    const path = `${groupPath(apiVersion)}/namespaces/${namespace}/${name}`
    const { status, body } = await this.#ask('GET', path)
    const { items } = JSON.parse(successful(status, body)) as {
      readonly items: readonly Omit<KubernetesObject, 'apiVersion' | 'kind'>[]
    }
    // A list names the kind of its items once.
    return items.map((item) => ({ ...item, apiVersion, kind }))
  }

  async #create(document: string, namespace: string, query: string): Promise<Answer> {
    const folder = await this.#folderOf(objectOf(document), namespace)
    const body = { type: 'application/yaml', text: document }
    return this.#ask('POST', `${folder}?fieldValidation=Strict${query}`, body)
  }

  async #folderOf({ apiVersion, kind }: KubernetesObject, namespace: string): Promise<string> {
    const { name, namespaced } = await this.#resourceOf(apiVersion, kind)
    const group = groupPath(apiVersion)
    return namespaced ? `${group}/namespaces/${namespace}/${name}` : `${group}/${name}`
  }

  async #resourceOf(apiVersion: string, kind: string): Promise<ApiResource> {
    const resources = await this.#resourcesOf(apiVersion)
    const found = resources.find((resource) => resource.kind === kind)
    if (found === undefined) throw new Error(`the API server knows no ${kind} of ${apiVersion}`)
    return found
  }

  async #resourcesOf(apiVersion: string): Promise<readonly ApiResource[]> {
    const known = this.#resources.get(apiVersion)
    if (known !== undefined) return known
    const { status, body } = await this.#ask('GET', groupPath(apiVersion))
    const resources = resourcesIn(successful(status, body))
    this.#resources.set(apiVersion, resources)
    return resources
  }

  /** The preferred version of each group. */
  async #versions(): Promise<string[]> {
    const { status, body } = await this.#ask('GET', '/apis')
    const { groups } = JSON.parse(successful(status, body)) as {
      readonly groups: readonly { readonly preferredVersion: { readonly groupVersion: string } }[]
    }
    return ['v1', ...groups.map(({ preferredVersion }) => preferredVersion.groupVersion)]
  }

  async #until(path: string, isSo: (body: string) => boolean): Promise<void> {
    const deadlineMs = performance.now() + READY_DEADLINE_MS
    for (;;) {
      const { status, body } = await this.#ask('GET', path)
      if (status === 200 && isSo(body)) return
      if (performance.now() > deadlineMs) throw new Error(`${path} is not ready:\n${body}`)
      await sleep(POLL_MS)
    }
  }

  /** Asks again while the server says that it is not so far, as that of a kind just defined does. */
  async #ask(method: string, path: string, body?: Body): Promise<Answer> {
    const deadlineMs = performance.now() + READY_DEADLINE_MS
    for (;;) {
      const answer = await this.#askOnce(method, path, body)
      if (answer.status !== 429 || performance.now() > deadlineMs) return answer
      await sleep(POLL_MS)
    }
  }

  #askOnce(method: string, path: string, body?: Body): Promise<Answer> {
    const { port, token, certificate } = this.#endpoint
    const headers = {
      authorization: `Bearer ${token}`,
      accept: 'application/json',
      ...(body && { 'content-type': body.type }),
    }
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, method, headers, ca: certificate }
      const sent = request(options, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.once('error', reject)
        response.once('end', () => {
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() })
        })
      })
      sent.once('error', reject)
      sent.end(body?.text)
    })
  }
}

function groupPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
}

/** The kinds of a group, without the parts of objects that have a path of their own. */
function resourcesIn(body: string): ApiResource[] {
  const { resources } = JSON.parse(body) as { readonly resources: readonly ApiResource[] }
  return resources.filter(({ name }) => !name.includes('/'))
}

/** As Helm and Kubernetes read YAML, of version 1.1, in which `0440` is octal. */
export function objectOf(document: string): KubernetesObject {
  return parse(document, { version: '1.1' }) as KubernetesObject
}

function successful(status: number, body: string): string {
  if (status >= 300) throw new Error(`the API server answered ${status}: ${body}`)
  return body
}
