/** Content metadata: a line of an operator's file, and the value of a record in the topic. */
import { contentErrors } from '../../../shared/content/content-errors.ts'
import {
  decodeContent,
  encodeContent,
  parseContentLine,
} from '../../../shared/content/content-record.ts'
import { assert } from '../../../shared/runtime/errors.ts'
import { codeOf, utf8, type FuzzTarget } from '../target.ts'

const CONTENT_ID = 'movie-1'

export const contentTarget: FuzzTarget = {
  name: 'content',
  seeds: [
    '{"contentId":"movie-1","title":"A film","contentType":"vod","labels":{"a":"b"},"validFrom":"2026-01-31T20:00:00Z"}',
    '{"contentId":"movie-1","title":"Pilot","seriesId":"s","season":1,"episode":2,"releaseDate":"2026-02-28","durationMs":1}',
    '{"contentId":"movie-1","deleted":true}',
    '{"contentId":"movie-1","versions":[{"validFromMs":0,"title":"A"},{"validFromMs":5,"title":"B","genre":"news"}]}',
  ].map(utf8),
  words: [
    ...'"contentId":"movie-1" "title": "deleted":true "versions":[ "validFrom": "labels":{'.split(
      ' ',
    ),
    ...'"releaseDate":"1999-02-29" "contentType":"live" null [] {} \ud83c \\ud83c __proto__ -1 1e9'.split(
      ' ',
    ),
  ],
  judge(bytes) {
    return `${lineVerdict(bytes)} ${recordVerdict(bytes)}`
  },
}

function lineVerdict(bytes: Uint8Array): string {
  const line = parseContentLine(bytes)
  if (!('error' in line)) return 'deleted' in line ? 'deleted' : 'version'
  const { error } = line
  return `${codeOf(error, contentErrors.catalogue)} ${error.expected?.slice(0, 24) ?? ''}`
}

/** What is read is written again as itself. */
function recordVerdict(bytes: Uint8Array): string {
  const content = decodeContent(CONTENT_ID, bytes)
  if (content === undefined) return 'no record'
  const again = decodeContent(CONTENT_ID, encodeContent(content))
  assert(JSON.stringify(again) === JSON.stringify(content), 'a record is itself when written again')
  return `${content.versions.length > 1 ? 'several versions' : 'one version'}`
}
