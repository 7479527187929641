/** A disk that can be filled to its last byte: a small tmpfs, where the system lets one be mounted. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CHUNK = Buffer.alloc(64 * 1_024)

export class SmallDisk {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** `undefined` where mounting is refused. */
  static mount(bytes: number): SmallDisk | undefined {
    const folder = mkdtempSync(join(tmpdir(), 'backhaul-small-disk-'))
    const args = ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder]
    if (spawnSync('mount', args, { stdio: 'ignore' }).status === 0) return new SmallDisk(folder)
    rmSync(folder, { recursive: true })
    return undefined
  }

  /** Leaves no room for anything. */
  fill(): void {
    const file = openSync(this.#fillerPath, 'a')
    try {
      for (let bytes = CHUNK.length; bytes >= 1; bytes = Math.floor(bytes / 2)) fillBy(file, bytes)
    } finally {
      closeSync(file)
    }
  }

  /** Gives the room back. */
  free(): void {
    rmSync(this.#fillerPath, { force: true })
  }

  /** Everything on it is gone. */
  unmount(): void {
    spawnSync('umount', ['--lazy', this.folder], { stdio: 'ignore' })
    rmSync(this.folder, { recursive: true })
  }

  get #fillerPath(): string {
    return join(this.folder, 'filler')
  }
}

function fillBy(file: number, bytes: number): void {
  for (;;) {
    try {
      if (writeSync(file, CHUNK, 0, bytes) < bytes) return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return
      throw error
    }
  }
}
