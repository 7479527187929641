/**
 * The read-only shell over the warehouse. A statement goes up to a `;` at a line's end and is
 * answered from the tables as they are at that moment, each in a session of its own; what begins
 * with a backslash is a command of the shell.
 */
import { BackhaulError } from '../../shared/runtime/errors.ts'
import type { TableSpec } from '../../shared/warehouse/table-spec.ts'
import type {
  QueryLimits,
  ResultColumn,
  Row,
  Warehouse,
  WarehouseSession,
} from '../../shared/warehouse/warehouse.ts'
import { rowsAsText, type RowFormat } from './rows-as-text.ts'

export interface SqlShellOptions {
  readonly warehouse: Warehouse
  readonly format: RowFormat
  readonly limits: QueryLimits
}

/** What a line came to; `text` is empty while a statement goes on. */
export interface Answer {
  readonly text: string
  readonly failed: boolean
  /** Whether the shell is to end. */
  readonly ended: boolean
}

const HELP = `\\d           tables
\\d TABLE     columns of a table
\\q           end
SELECT …;    an answer; WITH, DESCRIBE and SHOW likewise. Names are completed by the Tab key.`

/** Characters that a statement may have before it ends. */
const STATEMENT_MAX_CHARS = 1_000_000

export class SqlShell {
  readonly #options: SqlShellOptions
  #names: readonly string[] = []
  #begun = ''
  #running: WarehouseSession | undefined

  constructor(options: SqlShellOptions) {
    this.#options = options
  }

  /** Whether a statement has begun and not ended. */
  get continues(): boolean {
    return this.#begun !== ''
  }

  /** Takes one line; lines are to come one after another. */
  async line(line: string): Promise<Answer> {
    if (!this.continues && line.trim().startsWith('\\')) return this.#answer(this.#command(line))
    this.#begun = this.continues ? `${this.#begun}\n${line}` : line.trimStart()
    if (this.#begun.length > STATEMENT_MAX_CHARS) {
      this.clear()
      return failure(`A statement has at most ${STATEMENT_MAX_CHARS} characters.`)
    }
    if (!/;\s*$/.test(line)) return NOTHING
    return this.end()
  }

  /** Runs what has begun, if anything has. */
  async end(): Promise<Answer> {
    const sql = this.#begun
    this.clear()
    return sql.replace(/[\s;]/g, '') === '' ? NOTHING : this.run(sql)
  }

  /** Runs one statement. */
  run(sql: string): Promise<Answer> {
    const listing = /^\s*show\s+tables\s*;?\s*$/i.test(sql)
    return this.#answer(listing ? this.#tables() : this.#query(sql))
  }

  /** Forgets the statement that has begun. */
  clear(): void {
    this.#begun = ''
  }

  /** Ends the statement that runs; resolves with whether one did. */
  async cancel(): Promise<boolean> {
    const session = this.#running
    await session?.close()
    return session !== undefined
  }

  /** Completions of the last word, and the word, as readline asks for them. */
  complete(line: string): [string[], string] {
    const word = /[a-z0-9_]*$/i.exec(line)?.[0] ?? ''
    return [this.#names.filter((name) => name.startsWith(word.toLowerCase())), word]
  }

  /** Learns the names to complete; the tables of a warehouse that is not there yet are none. */
  async learn(): Promise<void> {
    await this.#inSession(async (session) => {
      const columns = session.tables.flatMap((table) => table.columns.map(({ name }) => name))
      this.#names = [...new Set([...session.tables.map(({ name }) => name), ...columns])].sort()
    })
  }

  async #command(line: string): Promise<string> {
    const [command, name] = line.trim().replace(/;$/, '').split(/\s+/)
    if (command === '\\d' && name !== undefined) return this.#columns(name)
    if (command === '\\d') return this.#tables()
    if (command === '\\q') throw new EndOfShell()
    return HELP
  }

  #query(sql: string): Promise<string> {
    return this.#inSession(async (session) => {
      const columns = await session.columns({ sql })
      const rows = await session.query({ sql }, this.#options.limits)
      return rowsAsText({ columns, rows }, this.#options.format)
    })
  }

  #tables(): Promise<string> {
    return this.#inSession(async (session) =>
      this.#listing(session.tables, ({ name, description }) => ({ table: name, description })),
    )
  }

  #columns(name: string): Promise<string> {
    return this.#inSession(async (session) => {
      const table = session.tables.find((candidate) => candidate.name === name.toLowerCase())
      if (table === undefined) throw new UnknownTable(name, session.tables)
      return this.#listing(table.columns, (column) => ({
        column: column.name,
        type: column.required ? column.type : `${column.type}?`,
        description: column.description,
      }))
    })
  }

  #listing<Item>(items: readonly Item[], rowOf: (item: Item) => Row): string {
    const rows = items.map(rowOf)
    const columns = Object.keys(rows[0] ?? { table: '', description: '' }).map(
      (name): ResultColumn => ({ name, type: 'STRING' }),
    )
    return rowsAsText({ columns, rows }, this.#options.format)
  }

  async #inSession<Result>(
    action: (session: WarehouseSession) => Promise<Result>,
  ): Promise<Result> {
    const session = await this.#options.warehouse.open()
    this.#running = session
    try {
      return await action(session)
    } finally {
      this.#running = undefined
      await session.close()
    }
  }

  async #answer(work: Promise<string>): Promise<Answer> {
    try {
      return { text: await work, failed: false, ended: false }
    } catch (error) {
      if (error instanceof EndOfShell) return { text: '', failed: false, ended: true }
      if (error instanceof UnknownTable) return failure(error.message)
      if (error instanceof BackhaulError) return failure(explained(error))
      throw error
    }
  }
}

const NOTHING: Answer = { text: '', failed: false, ended: false }

class EndOfShell extends Error {}

class UnknownTable extends Error {
  constructor(name: string, tables: readonly TableSpec[]) {
    super(`There is no table ${name}; there are ${tables.map((table) => table.name).join(', ')}.`)
  }
}

function failure(text: string): Answer {
  return { text, failed: true, ended: false }
}

function explained(error: BackhaulError): string {
  return error.code === 'WAREHOUSE_CLOSED' ? 'Cancelled.' : `${error.message}. ${error.spec.action}`
}
