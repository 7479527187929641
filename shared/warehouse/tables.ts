/** Every table of the warehouse. A table is defined where the list's parts come from. */
import { contentTables } from './content-table.ts'
import { eventTables } from './event-tables.ts'
import { factTables } from './fact-tables.ts'
import { runTables } from './run-tables.ts'
import type { TableSpec } from './table-spec.ts'

export const tables = { ...eventTables, ...factTables, ...contentTables, ...runTables }

export const allTables: readonly TableSpec[] = Object.values(tables)
