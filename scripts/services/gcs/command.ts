import { parseArgs } from 'node:util'
import type { ServiceCommand } from '../command-line.ts'
import { startGcs } from '../gcs.ts'

const DEFAULT_PORT = 4_443
const BUCKET = 'backhaul'

export const gcsCommand: ServiceCommand = {
  usage: `[--port ${DEFAULT_PORT}]`,
  async up(folder, args) {
    const { values } = parseArgs({ args: [...args], options: { port: { type: 'string' } } })
    const port = Number(values.port ?? DEFAULT_PORT)
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Error(`--port is a port from 1 to 65535; received ${values.port}`)
    const gcs = await startGcs({ port, folder, detached: true })
    await gcs.createBucket(BUCKET)
    return `OBJECT_STORE=gcs GCS_BUCKET=${BUCKET} GCS_ENDPOINT=${gcs.endpoint} GCS_CREDENTIALS=none`
  },
}
