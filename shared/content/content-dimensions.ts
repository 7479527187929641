/**
 * Dimensions that content metadata adds to those of cuts. No minute is kept by them: a row of a
 * content counts under the value that the metadata had at the row's minute, when it is read.
 */
import { UNKNOWN_KEY } from '../qoe/cuts.ts'
import type { ContentVersion } from './content-record.ts'

export const CONTENT_DIMENSIONS = ['contentType', 'series', 'season', 'genre', 'provider'] as const
export type ContentDimension = (typeof CONTENT_DIMENSIONS)[number]

/** `unknown` while nothing is known of the content, or not this. */
export function contentValue(
  dimension: ContentDimension,
  version: ContentVersion | undefined,
): string {
  const value = version?.[FIELDS[dimension]]
  return value === undefined ? UNKNOWN_KEY : `${value}`
}

const FIELDS = {
  contentType: 'contentType',
  series: 'seriesId',
  season: 'season',
  genre: 'genre',
  provider: 'provider',
} as const
