import { defineErrors } from '../runtime/errors.ts'

export const contentErrors = defineErrors({
  CONTENT_LINE_INVALID: {
    rule: 'a line of content metadata must be one JSON object of the schema',
    retryable: false,
    action: 'Correct the line; docs/content.md has every field. The other lines are taken.',
  },
  CONTENT_LINE_TOO_LONG: {
    rule: 'a line of content metadata must not exceed its limit',
    retryable: false,
    action: 'Shorten the line. The other lines are taken.',
  },
  CONTENT_TOO_MANY_VERSIONS: {
    rule: 'a content must not have more versions than are kept',
    retryable: false,
    action:
      'Leave out versions that nobody asks about any more. Those that hold from the latest times on are taken.',
  },
  CONTENT_TOO_MANY: {
    rule: 'a catalogue must not exceed its contents and bytes',
    retryable: false,
    action: 'Leave out contents that are not played any more. What fits is taken.',
  },
  CONTENT_FILE_UNREADABLE: {
    rule: 'the file of content metadata must be there and readable',
    retryable: true,
    action: 'Put the file back. Until then the last good one counts.',
  },
  CONTENT_FILE_REFUSED: {
    rule: 'a file of content metadata must have a line that is right, and not be too large',
    retryable: true,
    action:
      'Write the file under another name and rename it, so that none is read half written. Until then the last good one counts.',
  },
  CONTENT_RECORD_INVALID: {
    rule: 'a record of playback.content must hold the versions of the content that is its key',
    retryable: false,
    action:
      'Find out who wrote it: npx backhaul content load writes valid ones. The content stays as it was.',
  },
  CONTENT_LOG_TOO_SMALL: {
    rule: 'the embedded log, which does not compact, must keep several times the contents',
    retryable: false,
    action: 'Raise BACKHAUL_LOG_RETENTION_BYTES, or take BACKHAUL_CONTENT_SOURCE=file.',
  },
  CONTENT_SOURCE_NONE: {
    rule: 'content metadata must be loaded into the source that is set',
    retryable: false,
    action: 'Set BACKHAUL_CONTENT_SOURCE to topic, or edit the file that the setting names.',
  },
})
