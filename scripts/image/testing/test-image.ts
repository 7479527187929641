/**
 * An assembled tree, and roles started from it as the image starts them: by its own Node, as a user
 * to whom nothing of it belongs, with one folder to write to.
 */
import { execFile } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MainProcess } from '../../../shared/http/testing/main-process.ts'
import { assembleImage, ENTRYPOINT, NODE, type Weight } from '../tree.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
/** `USER` of the Dockerfile. Only root can start a process as somebody else. */
const USER_ID = process.getuid?.() === 0 ? 10_001 : undefined

type Settings = Readonly<Record<string, string>>

export interface Ended {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export class TestImage {
  readonly #home: string
  readonly weights: readonly Weight[]

  constructor() {
    this.#home = mkdtempSync(join(tmpdir(), 'backhaul-image-'))
    chmodSync(this.#home, 0o755)
    this.weights = assembleImage(ROOT, this.folder)
    mkdirSync(this.dataFolder)
    this.#giveAway(this.dataFolder)
  }

  get folder(): string {
    return join(this.#home, 'image')
  }

  /** The one folder that the roles may write to. */
  get dataFolder(): string {
    return join(this.#home, 'data')
  }

  /** A file that the roles may read; returns its path. */
  writeSetting(name: string, text: string): string {
    const path = join(this.#home, name)
    writeFileSync(path, text)
    return path
  }

  /** Runs a role to its end. */
  run(args: readonly string[], settings: Settings = {}): Promise<Ended> {
    const options = {
      cwd: this.folder,
      env: this.#environment(settings),
      uid: USER_ID,
      gid: USER_ID,
    }
    return new Promise((resolve) => {
      execFile(this.#node, [this.#entrypoint, ...args], options, (error, stdout, stderr) =>
        resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
      )
    })
  }

  /** Starts a role that listens for operators, or for everybody, at `port`. */
  start(role: string, port: number, settings: Settings): MainProcess {
    return new MainProcess({
      script: [this.#entrypoint, role],
      adminPort: port,
      environment: this.#environment(settings),
      runtime: { command: this.#node, userId: USER_ID },
    })
  }

  remove(): void {
    rmSync(this.#home, { recursive: true, force: true })
  }

  get #node(): string {
    return join(this.folder, NODE)
  }

  get #entrypoint(): string {
    return join(this.folder, ENTRYPOINT)
  }

  #environment(settings: Settings): Settings {
    const image = { NODE_ENV: 'production', HOME: '/', BACKHAUL_DATA_DIR: this.dataFolder }
    return { ...image, TMPDIR: this.dataFolder, ...settings }
  }

  #giveAway(path: string): void {
    if (USER_ID !== undefined) chownSync(path, USER_ID, USER_ID)
  }
}

/** Returns the status of the answer. */
export async function sendEvent(port: number, sessionId: string): Promise<number> {
  const at = Date.now()
  const { status } = await fetch(`http://127.0.0.1:${port}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      v: 1,
      sentAt: at,
      session: { sessionId, contentId: 'movie-1', cdn: 'a' },
      events: [{ seq: 0, type: 'playbackRequest', at }],
    }),
  })
  return status
}
