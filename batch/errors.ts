import { defineErrors } from '../shared/runtime/errors.ts'

/** What ends a run, or leaves a partition out of it. A run that ended is gone on with by the next. */
export const batchErrors = defineErrors({
  BATCH_DATA_LOSS: {
    rule: 'the log must still hold every record from where the last run ended',
    retryable: false,
    action:
      'Records expired before they were in files; their range is in the message. The partition is left out of every run until the loss is accepted with --accept-loss <topic>/<partition>, which goes on from the first record still held. Raise BACKHAUL_LOG_RETENTION_MS, or run the batch more often.',
  },
  BATCH_PARTITION_UNREADABLE: {
    rule: 'the log must be readable from the beginning of the range to its end',
    retryable: true,
    action: 'See the cause. The other partitions go on; the next run takes the range again.',
  },
  BATCH_TOPIC_RECREATED: {
    rule: 'a topic must be the one that the earlier runs took their ranges from',
    retryable: false,
    action:
      'The topic was deleted and created again, so its offsets start anew and would be taken for old ones. Put back the log that belongs to the object store, or start with an empty object store.',
  },
  BATCH_OBJECT_DIFFERS: {
    rule: 'an object that a run writes again must have the bytes it had before',
    retryable: false,
    action:
      'Nothing was changed. If the program was replaced by another version in the middle of the run, finish the run with the former one. If not, something else wrote the object named in the message, or it was altered: restore it from a copy.',
  },
  BATCH_OBJECT_MISSING: {
    rule: 'an object that a run has written must be there when it is read again',
    retryable: false,
    action: 'Restore the object named in the message from a copy, and run the batch again.',
  },
  BATCH_OBJECT_INVALID: {
    rule: 'a cut, manifest or list of files must be one that this program can read',
    retryable: false,
    action:
      'Run the version of the program that wrote the object named in the message, or restore it from a copy.',
  },
  BATCH_RAW_FILE_DAMAGED: {
    rule: 'a raw file must have the size and SHA-256 that its manifest gives',
    retryable: false,
    action:
      'The file named in the message was cut or altered. Restore it from a copy and run the batch again; nothing of the run was loaded.',
  },
  BATCH_FLATTEN_DIFFERS: {
    rule: 'the rows made from a raw file must be as many as its manifest counts',
    retryable: false,
    action:
      'Nothing was loaded. This is a defect of the program: keep the file named in the message and report it.',
  },
  BATCH_FLATTEN_FAILED: {
    rule: 'a raw file must be readable as the lines that the batch writes',
    retryable: false,
    action: 'Keep the file named in the message and report it; nothing of the run was loaded.',
  },
  BATCH_DISK_FULL: {
    rule: 'the temporary folder must have space for one raw file and what is made from it',
    retryable: true,
    action: 'Free disk space for the temporary folder; the next run goes on where this one was.',
  },
  BATCH_ERASE_RUN_UNFINISHED: {
    rule: 'a viewer is erased from the history when no run of the batch is half done',
    retryable: true,
    action:
      'The erasure record is written: nothing of the viewer is served any more. Run the batch, so that the run named in the message is over, and erase again: npx backhaul batch run.',
  },
  BATCH_ERASE_TOO_LARGE: {
    rule: 'what is erased of a viewer must fit within the bounds of an erasure',
    retryable: false,
    action:
      'Nothing was removed. Many sessions under one viewer id mean that a client sends the same id for everybody: correct it, and report this with the number in the message.',
  },
  BATCH_ERASE_OVERTAKEN: {
    rule: 'raw files stay as they are from when an erasure plans until it has rewritten them',
    retryable: true,
    action:
      'Nothing was removed yet. Compactions are under way that have lost their lease: end them, and give the command of the erasure again.',
  },
  BATCH_COMPACT_ERASURE_UNFINISHED: {
    rule: 'raw files are joined when no erasure is half done',
    retryable: false,
    action:
      'Nothing was changed. Give the command of the erasure again, npx backhaul erase --viewer <id>, so that it goes on to its proof, and then this one. The erasure of any other viewer finishes it as well.',
  },
  BATCH_REPLAY_RUN_UNFINISHED: {
    rule: 'past runs are loaded into the tables again when no run of the batch is half done',
    retryable: true,
    action:
      'Nothing was changed. Run the batch, so that the run named in the message is over, and give the command again: npx backhaul batch run.',
  },
  BATCH_REPLAY_VIEW_TAKEN: {
    rule: 'a replay fills a view of the speed store that has no rows',
    retryable: false,
    action: 'Give another name with --view; rows of a view go by themselves when they expire.',
  },
  BATCH_REPLAY_VIEWS_TOO_MANY: {
    rule: 'replays fill a bounded number of views',
    retryable: false,
    action:
      'Delete the objects of views whose rows have expired, under batch/replay-views/, and give the command again.',
  },
  BATCH_REPLAY_GAP: {
    rule: 'raw files and log must hold every record of a replay, without a gap',
    retryable: false,
    action:
      'Records of the range in the message are in no raw file and no longer in the log. Their loss was accepted earlier, or files are missing: compare with npx backhaul verify.',
  },
  BATCH_REPLAY_NOTHING: {
    rule: 'a replay into the tables takes a range that is in raw files',
    retryable: false,
    action:
      'Nothing of the range is in raw files. What is in the log alone is loaded by the next run: npx backhaul batch run.',
  },
  BATCH_TABLE_ROWS_DIFFER: {
    rule: 'tables hold as many rows of a run as its raw files have',
    retryable: false,
    action:
      'Rows were deleted or doubled after the run. Give the command in the message: it loads the run again from its raw files and computes the metrics of what changed. If an erasure, a replay or a backfill was killed before, give that one again first.',
  },
  BATCH_RECONCILE_NO_RUN: {
    rule: 'live and history are compared as of the cut of a completed batch run',
    retryable: true,
    action: 'Run the batch first: npx backhaul batch run.',
  },
  BATCH_RECONCILE_VIEW_DIFFERS: {
    rule: 'a view is compared with a history that was computed by the same settings',
    retryable: false,
    action:
      'Run the batch and its commands with the settings of the view: npx backhaul view list names it, and view compare says what differs. Past days are computed anew with npx backhaul backfill.',
  },
  BATCH_RECONCILE_TOO_LARGE: {
    rule: 'what is compared must fit within the bounds of a comparison',
    retryable: false,
    action:
      'Compare a shorter range (--from, --to). If most rows differ, the speed store and the history are not of the same log or view.',
  },
})
