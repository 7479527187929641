/** The dimension table of content metadata, its columns derived from the schema of the metadata. */
import { metadataSchema } from '../content/content-record.ts'
import { columnsOf } from './event-columns.ts'
import { nullable, required, type TableSpec } from './table-spec.ts'

/** Columns of the metadata itself: `title`, `content_type`, `series_id`, … */
export const metadataColumns = columnsOf(metadataSchema, [])

/** Name of a column of `content` where a fact carries it. */
export function factColumn(name: string): string {
  return `catalogue_${name}`
}

/** Columns of `content` that a part of a session carries, as of its beginning. */
export const CARRIED_COLUMNS = [
  nullable('valid_from_ms', 'INT64', 'From when on the metadata holds, epoch ms.'),
  ...metadataColumns,
]

const content: TableSpec = {
  name: 'content',
  description: 'What the content metadata says of each content, and from when to when it says so.',
  columns: [
    required('content_id', 'STRING', 'The content.'),
    required('valid_from_ms', 'INT64', 'From when on it holds, epoch ms; 0 for always.'),
    nullable('valid_to_ms', 'INT64', 'When the next version begins, epoch ms; null for the last.'),
    required('valid_from_year', 'DATE', 'First day of the UTC year of valid_from_ms.'),
    ...metadataColumns.map(({ name, type, required: isRequired, description }) => ({
      name,
      type,
      required: isRequired,
      description,
    })),
    required(
      'content_hash',
      'STRING',
      'SHA-256 of all versions of the content, 16 hex digits; empty while a run fills sessions in.',
    ),
    required('run', 'INT64', 'Number of the batch run that wrote the row.'),
  ],
  partitionColumn: 'valid_from_year',
  key: ['content_id', 'valid_from_ms'],
  clusterColumns: ['content_id', 'valid_from_ms'],
}

export const contentTables = { content }
