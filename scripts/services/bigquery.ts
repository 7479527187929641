/**
 * A server that speaks the API of BigQuery, DuckDB inside, behind a proxy that answers as BigQuery
 * does where the server does not, and can make requests fail. Loads read the objects of a GCS of ours.
 *
 * ```ts
 * const bigQuery = await startBigQuery({ objectsFolder: gcs.objectsFolder })
 * … `${bigQuery.endpoint}/bigquery/v2/projects/local/…` … bigQuery.proxy.inject({ … }) …
 * await bigQuery.stop()
 * ```
 */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiServer } from './api-server.ts'
import { pythonPackages, runTool } from './artefacts.ts'
import { answeringAsBigQuery } from './bigquery/proxy/rule.ts'
import { freePorts } from './ports.ts'

const REQUIREMENTS = join(import.meta.dirname, 'bigquery', 'requirements.txt')
/** Its DuckDB looks for extensions in the home folder: one of its own, with the one that it needs. */
const IMPORT_EXTENSION =
  "from duckdb_extensions import import_extension; import_extension('spatial')"

/** The one project of the server. */
export const PROJECT = 'local'

export interface BigQueryOptions {
  /** Where the objects that loads read are as files: `<bucket>/<name>`. */
  readonly objectsFolder: string
  /** Port for clients; a free one by default. */
  readonly port?: number
  /** Where tables and logs are kept; by default a temporary folder that goes when it is stopped. */
  readonly folder?: string
  /** Outlives this process; no fault is then injected into it. */
  readonly detached?: boolean
}

/** Fetches what the server runs from; returns the folder of its Python. */
export function prepareBigQuery(): string {
  return pythonPackages(REQUIREMENTS, (folder) => {
    const home = homeFolder(folder)
    mkdirSync(home)
    runTool(pythonOf(folder), ['-c', IMPORT_EXTENSION], { HOME: home })
  })
}

export async function startBigQuery(options: BigQueryOptions): Promise<ApiServer> {
  const { objectsFolder } = options
  const packages = prepareBigQuery()
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'backhaul-bigquery-'))
  const [targetPort = 0, grpcPort = 0, freePort = 0] = await freePorts(3)
  return ApiServer.start({
    name: 'bigquery',
    folder,
    temporary: options.folder === undefined,
    port: options.port ?? freePort,
    targetPort,
    command: pythonOf(packages),
    args: [
      '-m',
      'bqemulator',
      'start',
      '--persistent',
      `--data-dir=${join(folder, 'tables')}`,
      `--project=${PROJECT}`,
      '--rest-host=127.0.0.1',
      `--rest-port=${targetPort}`,
      '--grpc-host=127.0.0.1',
      `--grpc-port=${grpcPort}`,
    ],
    environment: {
      HOME: homeFolder(packages),
      BQEMU_GCS_LOCAL_ROOT: objectsFolder,
      BQEMU_ENABLE_FORMAT_EXTENSIONS: 'false',
    },
    readyLine: 'grpc.listen',
    proxy: {
      rule: answeringAsBigQuery(objectsFolder),
      script: join(import.meta.dirname, 'bigquery', 'proxy', 'main.ts'),
      args: [objectsFolder],
    },
    detached: options.detached ?? false,
  })
}

/** Creates the dataset, where there is none of its name. */
export async function createDataset(endpoint: string, datasetId: string): Promise<void> {
  const answer = await fetch(`${endpoint}/bigquery/v2/projects/${PROJECT}/datasets`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ datasetReference: { projectId: PROJECT, datasetId } }),
  })
  if (!answer.ok && answer.status !== 409)
    throw new Error(`dataset ${datasetId} was not created: ${await answer.text()}`)
}

function pythonOf(folder: string): string {
  return join(folder, 'bin', 'python')
}

function homeFolder(folder: string): string {
  return join(folder, 'home')
}
