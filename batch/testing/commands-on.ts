/** Command lines on a test's data folder, as `main.ts` runs them. */
import { expect } from 'vitest'
import type { Clock } from '../../shared/runtime/clock.ts'
import { runCommandLine } from '../cli/command-line.ts'
import { commands } from '../cli/commands.ts'
import { PARTITIONS } from './batch-machine.ts'

export interface Ended {
  readonly code: number
  readonly output: string
  readonly errors: string
}

export interface Found {
  readonly code: number
  readonly found: Record<string, unknown>
}

export class CommandsOn {
  readonly #environment: Record<string, string>
  readonly #clock: Clock
  /** What commands said of how far they are. */
  readonly shown: string[] = []

  constructor(folder: string, clock: Clock, environment: Record<string, string> = {}) {
    this.#clock = clock
    this.#environment = {
      BACKHAUL_DATA_DIR: folder,
      BACKHAUL_PARTITIONS: `${PARTITIONS}`,
      BATCH_RAW_FILE_BYTES: '8192',
      BATCH_FACT_BUCKETS: '1',
      ...environment,
    }
  }

  /** The words of the line are apart by single blanks. */
  async run(line: string, environment: Record<string, string> = {}): Promise<Ended> {
    const output: string[] = []
    const errors: string[] = []
    const code = await runCommandLine(line === '' ? [] : line.split(' '), {
      commands,
      environment: { ...this.#environment, ...environment },
      readFile: () => '',
      clock: this.#clock,
      progress: {
        show: (what, done, total) => this.shown.push(`${what} ${done}/${total}`),
        end: () => undefined,
      },
      signal: new AbortController().signal,
      output: (text) => output.push(text),
      errors: (text) => errors.push(text),
    })
    return { code, output: output.join('\n'), errors: errors.join('\n') }
  }

  async json(line: string): Promise<Found> {
    const { code, output, errors } = await this.run(`${line} --json`)
    if (errors !== '') throw new Error(`${line}: ${errors}`)
    return { code, found: JSON.parse(output) as Record<string, unknown> }
  }
}

/** A refusal is one line with the code and what to do. */
export function expectRefusal(ended: Ended, exitCode: number, code: string): void {
  expect(ended).toMatchObject({ code: exitCode, output: '' })
  expect(ended.errors.split('\n')).toHaveLength(1)
  expect(ended.errors).toContain(`${code}: `)
}
