/**
 * A warehouse for loading a run anew: what a load would insert where it is missing takes the place of
 * all rows that the run has in those days. A load is then a rebuild, each table at once, and readers
 * see either the rows of before or those of after. Rows that are as they should be are not written.
 */
import type {
  InsertMissingRequest,
  Select,
  Warehouse,
  WarehouseSession,
} from '../../shared/warehouse/warehouse.ts'

export function replacingWarehouse(warehouse: Warehouse, run: number): Warehouse {
  return {
    ensureTables: (tables) => warehouse.ensureTables(tables),
    open: async () => replacingSession(await warehouse.open(), run),
    close: () => warehouse.close(),
  }
}

function replacingSession(session: WarehouseSession, run: number): WarehouseSession {
  return {
    get tables() {
      return session.tables
    },
    computesHere: session.computesHere,
    load: (request) => session.load(request),
    scratch: (name, select) => session.scratch(name, select),
    append: (name, select) => session.append(name, select),
    insertMissing: (request) => replaceRun(session, run, request),
    replaceRows: (request) => session.replaceRows(request),
    query: (select, limits) => session.query(select, limits),
    columns: (select) => session.columns(select),
    close: () => session.close(),
  }
}

async function replaceRun(
  session: WarehouseSession,
  run: number,
  request: InsertMissingRequest,
): Promise<number> {
  const { table, dates, jobId } = request
  const scopeSelect = {
    sql: 'SELECT CAST(@replaced_run AS INT64) AS run',
    parameters: { replaced_run: run },
  }
  const select = withoutOtherRuns(session, run, request)
  const replaced = { table, select, scope: ['run'], scopeSelect, dates, jobId }
  return (await session.replaceRows(replaced)).inserted
}

/**
 * A range may be in the raw files of two runs, after a loss of control rows: a record that another run
 * has in the table stays that run's. Of events this is known by the places of their copies; their own
 * key changes when incarnations are numbered again.
 */
function withoutOtherRuns(
  session: WarehouseSession,
  run: number,
  { table, select, key, dates }: InsertMissingRequest,
): Select {
  const spec = session.tables.find(({ name }) => name === table)
  if (spec === undefined || !key.includes('log_offset')) return select
  const same = key.map((column) => `other.${column} = staged.${column}`)
  return {
    sql: `SELECT staged.*
      FROM (${select.sql}) AS staged
      WHERE NOT EXISTS (
        SELECT 1
        FROM ${table} AS other
        WHERE other.${spec.partitionColumn} BETWEEN CAST(@first_date AS DATE) AND CAST(@last_date AS DATE)
          AND other.run <> CAST(@replaced_run AS INT64)
          AND ${same.join('\n          AND ')}
      )`,
    parameters: {
      ...select.parameters,
      replaced_run: run,
      first_date: dates.toSorted()[0] ?? '',
      last_date: dates.toSorted().at(-1) ?? '',
    },
  }
}
