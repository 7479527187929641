/** Files that survive a power loss once they are written. */
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Creates the file and the folders on its way under `root`; resolves when all of it is on disk. */
export async function createDurably(root: string, path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true })
  const file = await open(path, 'wx')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  // A folder holds the names in it: each one on the way is synced, up to the root.
  for (let synced = folder; ; synced = dirname(synced)) {
    await syncFolder(synced)
    if (synced === root || synced === dirname(synced)) return
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
