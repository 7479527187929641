import { defineErrors } from '../shared/runtime/errors.ts'

export const standaloneErrors = defineErrors({
  STANDALONE_DATA_FORMAT: {
    rule: 'the data folder must have the format of this version',
    retryable: false,
    action: 'Set BACKHAUL_DATA_DIR to another folder, or run the version that wrote this one.',
  },
  STANDALONE_DATA_ABSENT: {
    rule: 'a command must be given the data folder of a server',
    retryable: false,
    action: 'Correct BACKHAUL_DATA_DIR, or start the server once, which makes the folder.',
  },
  STANDALONE_DATA_HELD: {
    rule: 'a data folder may be held by one server at a time',
    retryable: false,
    action: 'Stop the other server, or set BACKHAUL_DATA_DIR to another folder.',
  },
  STANDALONE_DATA_UNUSABLE: {
    rule: 'the data folder must be a folder that can be written',
    retryable: false,
    action: 'Correct BACKHAUL_DATA_DIR or the rights on the folder.',
  },
})
