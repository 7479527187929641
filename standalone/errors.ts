import { defineErrors } from '../shared/runtime/errors.ts'

export const standaloneErrors = defineErrors({
  STANDALONE_FLAG_INVALID: {
    rule: 'a flag must be known and have a value of its type',
    retryable: false,
    action: 'Correct it; npm start -- --help lists the flags.',
  },
  STANDALONE_BATCH_FAILED: {
    rule: 'the process of the batch must not meet a defect',
    retryable: true,
    status: 503,
    action: 'See the server’s log; please report it. Playback events are taken all the same.',
  },
  STANDALONE_BATCH_AWAY: {
    rule: 'the process of the batch must run to answer for the history',
    retryable: true,
    status: 503,
    action:
      'It is started again by itself; the server’s log says why it ended. Playback events are taken all the same.',
  },
  STANDALONE_BATCH_BUSY: {
    rule: 'the requests to the process of the batch are bounded',
    retryable: true,
    status: 503,
    action: 'Ask again.',
  },
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
