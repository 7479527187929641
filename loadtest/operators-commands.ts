/** The operators' commands as an operator runs them: processes of their own on a data folder. */
import { execFile, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const COMMANDS = join(ROOT, 'batch', 'cli', 'main.ts')
const SQL_SHELL = join(ROOT, 'batch', 'sql-shell', 'main.ts')
const OUTPUT_MAX_BYTES = 256 * 2 ** 20

export interface Ended {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** A command that runs. */
export interface Begun {
  readonly ended: Promise<Ended>
  kill(): void
}

export class OperatorsCommands {
  readonly #environment: NodeJS.ProcessEnv

  constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = { PATH: process.env['PATH'], ...environment }
  }

  /** `npx backhaul …`. */
  backhaul(...args: readonly string[]): Promise<Ended> {
    return this.begin(...args).ended
  }

  /** The same, to be killed on the way. */
  begin(...args: readonly string[]): Begun {
    const { child, ended } = this.#start([COMMANDS, ...args])
    return { ended, kill: () => child.kill('SIGKILL') }
  }

  /** `npm run sql`: the rows of a SELECT. */
  async sql(statement: string, maxRows = 1_000_000): Promise<Record<string, unknown>[]> {
    const args = [SQL_SHELL, '--json', '--max-rows', `${maxRows}`, statement]
    const ended = await this.#start(args).ended
    if (ended.exitCode !== 0) throw new Error(ended.stderr)
    const lines = ended.stdout.split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  #start(args: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } {
    const { promise: ended, resolve } = Promise.withResolvers<Ended>()
    const options = { env: this.#environment, maxBuffer: OUTPUT_MAX_BYTES }
    const child = execFile(process.execPath, args, options, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : Number(error.code ?? 1)
      resolve({ exitCode, stdout, stderr })
    })
    return { child, ended }
  }
}
