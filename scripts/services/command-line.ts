/**
 * What `npm run services` does with any service. A service's processes live in folders below its
 * own, each with a `process.json`; status, logs and down need to know no more than that.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endRecordedProcess, lastLines, LOG_FILE, recordedProcess } from './server-process.ts'

const LOG_LINES = 60

export interface ServiceCommand {
  /** Options of `up`, as its usage shows them. */
  readonly usage: string
  /** Starts the service with its data in `folder`, so that it outlives this process; tells where it is. */
  up(folder: string, args: readonly string[]): Promise<string>
}

/** Where services of this work tree live unless a folder is given; other work trees have others. */
export function defaultServicesFolder(root: string): string {
  const tree = createHash('sha256').update(root).digest('hex').slice(0, 8)
  return join(tmpdir(), `backhaul-services-${tree}`)
}

/** Folders of a service's processes. */
function processFolders(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, LOG_FILE)))
    .map((entry) => join(folder, entry.name))
}

/** One line for each process of a service that was started and not taken down. */
export function statusLines(folder: string): string[] {
  return processFolders(folder).map((path) => {
    const found = recordedProcess(path)
    return found === undefined
      ? `${path}: not running`
      : `${found.name}: running, port ${found.port}, process ${found.pid}, ${path}`
  })
}

export function logText(folder: string): string {
  return processFolders(folder)
    .map(
      (path) => `── ${path}\n${lastLines(readFileSync(join(path, LOG_FILE), 'utf8'), LOG_LINES)}`,
    )
    .join('\n')
}

/** Whether any process of the service runs. */
export function isUp(folder: string): boolean {
  return processFolders(folder).some((path) => recordedProcess(path) !== undefined)
}

/** Ends a service's processes and removes its data. */
export async function takeDown(folder: string): Promise<void> {
  await Promise.all(processFolders(folder).map((path) => endRecordedProcess(path)))
  rmSync(folder, { recursive: true, force: true })
}
