import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { createDataset, PROJECT, startBigQuery } from '../bigquery.ts'
import type { ServiceCommand } from '../command-line.ts'
import { objectsFolder } from '../gcs.ts'

const DEFAULT_PORT = 9_050
const DATASET = 'backhaul'

export const bigQueryCommand: ServiceCommand = {
  usage: `[--port ${DEFAULT_PORT}]`,
  async up(folder, args) {
    const { values } = parseArgs({ args: [...args], options: { port: { type: 'string' } } })
    const port = Number(values.port ?? DEFAULT_PORT)
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Error(`--port is a port from 1 to 65535; received ${values.port}`)
    const server = await startBigQuery({
      port,
      folder,
      // What `up gcs` keeps beside it, whichever of the two comes first.
      objectsFolder: objectsFolder(join(dirname(folder), 'gcs')),
      detached: true,
    })
    for (const name of [DATASET, `${DATASET}_staging`]) await createDataset(server.endpoint, name)
    return `WAREHOUSE_STORE=bigquery BIGQUERY_PROJECT=${PROJECT} BIGQUERY_DATASET=${DATASET} BIGQUERY_ENDPOINT=${server.endpoint} BIGQUERY_CREDENTIALS=none`
  },
}
