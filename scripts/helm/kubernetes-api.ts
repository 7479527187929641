/**
 * A real API server of Kubernetes over etcd, on loopback, without nodes and without controllers: what it
 * takes a cluster would store, and nothing runs (`whilePlayed` stands in for what would run hooks).
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { goTools } from '../services/artefacts.ts'
import { freePorts } from '../services/ports.ts'
import { ServerProcess } from '../services/server-process.ts'
import { KubernetesClient } from './kubernetes-client.ts'

const GO_MODULE = join(import.meta.dirname, 'kubernetes-api')
/** Written by Kubernetes' own release scripts; without it helm takes the server for one that is too old for any chart. */
const VERSION_VARIABLE = 'k8s.io/component-base/version.gitVersion'

export class KubernetesApi {
  readonly client: KubernetesClient
  /** For programs such as helm. */
  readonly kubeconfig: string
  readonly #folder: string
  readonly #servers: readonly ServerProcess[]

  private constructor(folder: string, client: KubernetesClient, servers: ServerProcess[]) {
    this.#folder = folder
    this.client = client
    this.kubeconfig = join(folder, 'kubeconfig')
    this.#servers = servers
  }

  /** Builds the servers when they are not there yet (some ten minutes), and waits until it is ready. */
  static async start(): Promise<KubernetesApi> {
    const programs = goTools(GO_MODULE, `-X=${VERSION_VARIABLE}=${kubernetesVersion()}`)
    const folder = mkdtempSync(join(tmpdir(), 'backhaul-kubernetes-'))
    const [etcdPort = 0, peerPort = 0, port = 0] = await freePorts(3)
    const token = randomUUID()
    writeCredentials(folder, port, token)
    const servers: ServerProcess[] = []
    try {
      for (const server of [
        etcd({ folder, programs, port: etcdPort, peerPort }),
        apiServer({ folder, programs, port, etcdPort }),
      ]) {
        await server.start()
        servers.unshift(server)
      }
      const client = new KubernetesClient({
        port,
        token,
        certificate: readFileSync(certificateIn(folder), 'utf8'),
      })
      await client.untilReady()
      return new KubernetesApi(folder, client, servers)
    } catch (error) {
      await stopAll(folder, servers)
      throw error
    }
  }

  /** Makes known what the YAML files of a folder define, and waits until it is served. */
  async define(definitions: string): Promise<void> {
    for (const name of readdirSync(definitions))
      await this.client.define(readFileSync(join(definitions, name), 'utf8'))
  }

  async stop(): Promise<void> {
    await stopAll(this.#folder, this.#servers)
  }
}

/** The version that go.mod pins. */
function kubernetesVersion(): string {
  const path = join(GO_MODULE, 'go.mod')
  const [, version] = /^\s*k8s\.io\/kubernetes (v\S+)/m.exec(readFileSync(path, 'utf8')) ?? []
  if (version === undefined) throw new Error(`${path} requires no k8s.io/kubernetes`)
  return version
}

/** The API server first: it would wait for an etcd that has gone. */
async function stopAll(folder: string, servers: readonly ServerProcess[]): Promise<void> {
  for (const server of servers) await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

interface EtcdSpec {
  readonly folder: string
  readonly programs: string
  readonly port: number
  readonly peerPort: number
}

function etcd({ folder, programs, port, peerPort }: EtcdSpec): ServerProcess {
  const [clients, peers] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`]
  return new ServerProcess({
    name: 'etcd',
    folder: join(folder, 'etcd'),
    // Go names a program by its module.
    command: join(programs, 'server'),
    args: [
      `--data-dir=${join(folder, 'etcd', 'data')}`,
      `--listen-client-urls=${clients}`,
      `--advertise-client-urls=${clients}`,
      `--listen-peer-urls=${peers}`,
      `--initial-advertise-peer-urls=${peers}`,
      `--initial-cluster=default=${peers}`,
    ],
    port,
    readyLine: 'ready to serve client requests',
  })
}

interface ApiServerSpec {
  readonly folder: string
  readonly programs: string
  readonly port: number
  readonly etcdPort: number
}

function apiServer({ folder, programs, port, etcdPort }: ApiServerSpec): ServerProcess {
  const key = serviceAccountsKeyIn(folder)
  return new ServerProcess({
    name: 'kube-apiserver',
    folder: join(folder, 'api'),
    command: join(programs, 'kube-apiserver'),
    args: [
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${join(folder, 'tls')}`,
      `--etcd-servers=http://127.0.0.1:${etcdPort}`,
      // Nobody reaches it through a Service.
      '--endpoint-reconciler-type=none',
      '--authorization-mode=RBAC',
      `--token-auth-file=${tokensIn(folder)}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${key}`,
      `--service-account-signing-key-file=${key}`,
      '--service-cluster-ip-range=10.0.0.0/24',
    ],
    port,
    readyLine: 'Serving securely on',
  })
}

function certificateIn(folder: string): string {
  return join(folder, 'tls', 'apiserver.crt')
}

function tokensIn(folder: string): string {
  return join(folder, 'tokens.csv')
}

function serviceAccountsKeyIn(folder: string): string {
  return join(folder, 'service-accounts.pem')
}

function writeCredentials(folder: string, port: number, token: string): void {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
  const secret = { mode: 0o600 }
  writeFileSync(serviceAccountsKeyIn(folder), privateKey, secret)
  writeFileSync(tokensIn(folder), `${token},admin,admin,system:masters\n`, secret)
  const cluster = {
    server: `https://127.0.0.1:${port}`,
    'certificate-authority': certificateIn(folder),
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'local',
    clusters: [{ name: 'local', cluster }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'local', context: { cluster: 'local', user: 'admin' } }],
  }
  writeFileSync(join(folder, 'kubeconfig'), JSON.stringify(config), secret)
}
