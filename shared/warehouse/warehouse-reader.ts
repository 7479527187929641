/** What reads the history and never writes it needs of a warehouse; any warehouse is one. */
import type { WarehouseSession } from './warehouse.ts'

export interface WarehouseReader {
  open(): Promise<ReadSession>
}

export type ReadSession = Pick<WarehouseSession, 'query' | 'close'>
