/**
 * A warehouse for loading a run anew: what a load would insert where it is missing takes the place of
 * all rows that the run has in those days. A load is then a rebuild, each table at once, and readers
 * see either the rows of before or those of after. Rows that are as they should be are not written.
 */
import type {
  InsertMissingRequest,
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
  { table, select, dates, jobId }: InsertMissingRequest,
): Promise<number> {
  const scopeSelect = {
    sql: 'SELECT CAST(@replaced_run AS INT64) AS run',
    parameters: { replaced_run: run },
  }
  const request = { table, select, scope: ['run'], scopeSelect, dates, jobId }
  return (await session.replaceRows(request)).inserted
}
