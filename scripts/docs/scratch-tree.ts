/**
 * A folder in which commands of the docs can be typed as in a checkout: everything of the repository
 * is there by a link, and what a command writes stays in it.
 */
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

const ROOT = join(import.meta.dirname, '..', '..')
/** Written by commands. */
const NOT_LINKED = ['data', 'test-output', '.git']

/** An answer that is an error fails a block, as nobody looks at it. */
const PREAMBLE = 'set -e\ncurl() { command curl --fail-with-body --silent --show-error "$@"; }\n'

/** A block that was typed. */
export interface Typed {
  readonly ended: Promise<{
    readonly code: number | null
    readonly output: string
    readonly errors: string
  }>
  /** Asks everything that it started to stop. */
  end(signal?: NodeJS.Signals): Typed['ended']
}

export class ScratchTree {
  readonly folder = mkdtempSync(join(tmpdir(), 'backhaul-docs-'))
  readonly #environment: Readonly<Record<string, string>>
  readonly #replaced = new Map<string, string>()

  constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = environment
    for (const name of readdirSync(ROOT))
      if (!NOT_LINKED.includes(name)) symlinkSync(join(ROOT, name), join(this.folder, name))
  }

  /** Where a page says one thing, such as a port, another is so here. */
  replace(said: string, here: string): void {
    this.#replaced.set(said, here)
  }

  /** The example of docs/relay.md as feeds.json, of which nobody answers. */
  writeFeeds(example: string): void {
    writeFileSync(join(this.folder, 'acme'), 'Bearer a-feed')
    const feeds = example
      .replaceAll(/wss:\/\/\w+\.example/g, 'ws://127.0.0.1:1')
      .replace('/secrets/acme', 'acme')
    writeFileSync(join(this.folder, 'feeds.json'), feeds)
  }

  /** Starts the block as one shell script, in a process group of its own. */
  start(block: string): Typed {
    let script = block
    for (const [said, here] of this.#replaced) script = script.replaceAll(said, here)
    const path = `${join(this.folder, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}`
    const child = spawn('bash', ['-c', PREAMBLE + script], {
      cwd: this.folder,
      env: { ...process.env, PATH: path, ...this.#environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
    const ended = Promise.all([closed, text(child.stdout), text(child.stderr)]).then(
      ([code, output, errors]) => {
        return { code, output, errors }
      },
    )
    let isOver = false
    const whenOver = () => (isOver = true)
    closed.then(whenOver, whenOver)
    return {
      ended,
      end(signal = 'SIGTERM') {
        if (child.pid !== undefined && !isOver) process.kill(-child.pid, signal)
        return ended
      },
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
