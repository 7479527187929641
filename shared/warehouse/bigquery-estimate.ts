/**
 * What the statements of a session would read, by BigQuery's dry run: none is run, written or billed. A
 * scratch table is then no table but an empty select of its columns, which stands wherever the next
 * statement names it. So a sequence of statements can be asked about of which each reads what the one
 * before it makes.
 */
import { nullSql } from './bigquery-place.ts'
import type { BigQueryQueries, BigQueryText } from './bigquery-queries.ts'
import type { SessionScratch } from './bigquery-session.ts'
import type {
  KnownColumns,
  LoadRequest,
  ResultColumn,
  Row,
  WarehouseEstimate,
} from './warehouse.ts'

type Read = Omit<WarehouseEstimate, 'bytesBilledMax'>

export class BigQueryEstimate {
  readonly #asked: Pick<BigQueryQueries, 'columns' | 'estimate'>
  readonly #known: KnownColumns
  readonly #names = new Map<string, string>()
  #read: Read = { statements: 0, bytesRead: 0, bytesReadAtOnce: 0 }

  constructor(asked: Pick<BigQueryQueries, 'columns' | 'estimate'>, known: KnownColumns) {
    this.#asked = asked
    this.#known = known
  }

  get read(): Read {
    return this.#read
  }

  readonly queries: Pick<BigQueryQueries, 'rows' | 'columns'> = {
    rows: async (text) => this.#rowsOf(await this.#estimated(text)),
    columns: (text) => this.#asked.columns(text),
  }

  get scratch(): SessionScratch {
    const make = async (_name: string, text: BigQueryText) => emptySql(await this.#estimated(text))
    return {
      names: this.#names,
      make,
      makeNamed: async (name, text) => void this.#names.set(name, await make(name, text)),
      append: async (_name, _columns, text) => void (await this.#estimated(text)),
      load: ({ scratch, columns }: LoadRequest) => {
        this.#names.set(scratch, emptySql(columns))
        return Promise.resolve(0)
      },
      drop: () => Promise.resolve(),
    }
  }

  async #estimated(text: BigQueryText): Promise<readonly ResultColumn[]> {
    const { columns, bytesRead } = await this.#asked.estimate(text)
    const read = this.#read
    this.#read = {
      statements: read.statements + 1,
      bytesRead: read.bytesRead + bytesRead,
      bytesReadAtOnce: Math.max(read.bytesReadAtOnce, bytesRead),
    }
    return columns
  }

  /** None where a column is not known. */
  #rowsOf(columns: readonly ResultColumn[]): readonly Row[] {
    const values = columns.map(({ name }) => [name, this.#known[name] ?? []] as const)
    const count = Math.min(...values.map(([, known]) => known.length))
    return Array.from({ length: count }, (_, index) =>
      Object.fromEntries(values.map(([name, known]) => [name, known[index] ?? null])),
    )
  }
}

/** By chance, lest what is joined with nothing be passed over as nothing. */
function emptySql(columns: readonly Pick<ResultColumn, 'name' | 'type'>[]): string {
  const nulls = columns.map(({ name, type }) => nullSql({ name, type }))
  return `(SELECT ${nulls.join(', ')} FROM (SELECT 1 AS one) AS o WHERE RAND() < 0)`
}
