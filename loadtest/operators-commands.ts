/** The operators' commands as an operator runs them: processes of their own on a data folder. */
import { execFile } from 'node:child_process'
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

export class OperatorsCommands {
  readonly #environment: NodeJS.ProcessEnv

  constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = { PATH: process.env['PATH'], ...environment }
  }

  /** `npx backhaul …`. */
  backhaul(...args: readonly string[]): Promise<Ended> {
    return this.#run([COMMANDS, ...args])
  }

  /** `npm run sql`: the rows of a SELECT. */
  async sql(statement: string, maxRows = 1_000_000): Promise<Record<string, unknown>[]> {
    const ended = await this.#run([SQL_SHELL, '--json', '--max-rows', `${maxRows}`, statement])
    if (ended.exitCode !== 0) throw new Error(ended.stderr)
    const lines = ended.stdout.split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  #run(args: readonly string[]): Promise<Ended> {
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        args,
        { env: this.#environment, maxBuffer: OUTPUT_MAX_BYTES },
        (error, stdout, stderr) => {
          const exitCode = error === null ? 0 : Number(error.code ?? 1)
          resolve({ exitCode, stdout, stderr })
        },
      )
    })
  }
}
