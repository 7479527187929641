import { defineErrors } from '../shared/runtime/errors.ts'

export const processorErrors = defineErrors({
  PROCESSOR_TOPIC_RECREATED: {
    rule: 'the events topic must be the one the processor’s state was built from',
    retryable: false,
    action:
      'The topic was deleted and created again, so its offsets start anew. Raise PROCESSOR_TOPIC_EPOCH by one to build on the new topic beside the old rows.',
  },
  PROCESSOR_PARTITIONS_DIFFER: {
    rule: 'the events topic must have the configured number of partitions',
    retryable: false,
    action: 'Set BACKHAUL_PARTITIONS to the number of partitions of playback.events.',
  },
  PROCESSOR_CHECKPOINT_NEWER: {
    rule: 'a checkpoint must have a format that this program can read',
    retryable: false,
    action: 'A newer release wrote it: start that release or a later one.',
  },
  PROCESSOR_CHECKPOINT_INVALID: {
    rule: 'a checkpoint with a valid hash must hold the state of its own partition and view',
    retryable: false,
    action:
      'Move the object named in the message away: the partition then starts from the previous one, or rebuilds under a new generation.',
  },
  PROCESSOR_DATA_LOSS: {
    rule: 'the log must still hold every record after the checkpoint',
    retryable: false,
    action:
      'Records expired before they were processed; the range is in the message. The partition stands still until an operator moves its checkpoints away, which rebuilds it from the earliest record under a new, labelled generation.',
  },
  PROCESSOR_LOG_TRUNCATED: {
    rule: 'the log must not end before the offset its checkpoint was taken at',
    retryable: false,
    action:
      'The log lost its end, for instance by restoring an older copy. Restore the right copy, or raise PROCESSOR_TOPIC_EPOCH to build anew.',
  },
  PROCESSOR_OWNERSHIP_CONTENDED: {
    rule: 'one processor at a time may claim a partition',
    retryable: true,
    action:
      'None: the claim is tried again. If it lasts, look for processors that share object storage but not the consumer group.',
  },
  PROCESSOR_LEASE_LAPSED: {
    rule: 'only the present owner of a partition claims it, and appends what it puts out',
    retryable: true,
    action:
      'None: the group was not heard for the session timeout, so that another may own the partition. It goes on when the group answers.',
  },
  PROCESSOR_RECORD_POISON: {
    rule: 'a record of playback.events must be readable',
    retryable: false,
    action:
      'Its sealed bytes are in playback.rejects with partition, offset and reason; it can be replayed from there.',
  },
  PROCESSOR_ALERTS_OVERTAKEN: {
    rule: 'one evaluator at a time must judge the alert rules',
    retryable: true,
    action:
      'None: this one drops what it knows and waits for the lease. If it recurs, the process stands still for longer than the lease lasts.',
  },
  PROCESSOR_ALERTS_WEBHOOK_FAILED: {
    rule: 'the webhook must take an alert with a 2xx status',
    retryable: true,
    action:
      'Check the receiver at PROCESSOR_ALERTS_WEBHOOK_URL: the alert is sent again with the same id until its deadline.',
  },
  PROCESSOR_ALERTS_WEBHOOK_REFUSED: {
    rule: 'the webhook must not refuse an alert for good',
    retryable: false,
    action:
      'Check PROCESSOR_ALERTS_WEBHOOK_URL and PROCESSOR_ALERTS_WEBHOOK_SECRET: the receiver answered with a status that no repeat can mend. The alert is in playback.alerts.',
  },
  PROCESSOR_TASK_FAILED: {
    rule: 'a partition’s task must not meet an unexpected failure',
    retryable: false,
    action:
      'A defect: the cause is in the log. The partition stands still until a restart; others go on.',
  },
  PROCESSOR_SEAL_KEY_REQUIRED: {
    rule: 'processors and gateways beside one another must share the key of rejects',
    retryable: false,
    action: 'Set BACKHAUL_SEAL_KEY, the same for every service.',
  },
  PROCESSOR_DATA_FOLDER_HELD: {
    rule: 'a processor on its own must not work in the data folder of a running server',
    retryable: false,
    action:
      'Set BACKHAUL_DATA_DIR to the folder that the processors share, or stop the server: its own processor writes there.',
  },
  PROCESSOR_ADMIN_PORT_UNAVAILABLE: {
    rule: 'the address for operators must be a free one of this machine',
    retryable: false,
    action: 'Set PROCESSOR_ADMIN_PORT or PROCESSOR_ADMIN_HOST to another address.',
  },
  PROCESSOR_ADMIN_PATH_UNKNOWN: {
    rule: 'the port for operators answers /healthz, /readyz, /metrics, /debug/partitions and /debug/sessions/{id}',
    retryable: false,
    status: 404,
    action: 'Ask the serving API for metrics of playback.',
  },
  PROCESSOR_SESSION_NOT_HELD: {
    rule: 'a session must be in the state of a partition that this processor owns',
    retryable: false,
    status: 404,
    action:
      'Ask the processor that owns the partition in the message; a session that ended long ago is in no state any more.',
  },
  PROCESSOR_LOG_UNAVAILABLE: {
    rule: 'the event log must be reached before partitions can be worked on',
    retryable: true,
    status: 503,
    action: 'Check the log; the processor asks again until it answers.',
  },
  PROCESSOR_STOPPING: {
    rule: 'a processor that stops gives its partitions up',
    retryable: false,
    status: 503,
    action: 'None: the others of its group take them over.',
  },
  PROCESSOR_INTERNAL: {
    rule: 'a request of an operator must not meet a defect of the processor',
    retryable: true,
    status: 500,
    action: 'See the processor’s log; please report it.',
  },
})

export type ProcessorErrorCode = keyof typeof processorErrors.catalogue
