import { defineErrors } from '../runtime/errors.ts'

export const objectErrors = defineErrors({
  OBJECT_PRECONDITION_FAILED: {
    rule: 'an object must have the expected generation, or not exist, when it is written',
    retryable: false,
    status: 412,
    action: 'Read the object again: another writer was first, or an earlier try did succeed.',
  },
  OBJECT_NAME_INVALID: {
    rule: 'an object name must be a path of /-separated segments of A-Z a-z 0-9 . _ = -',
    retryable: false,
    action: 'None: this is a defect of the caller.',
  },
  OBJECT_FULL: {
    rule: 'the object store must have space for an object',
    retryable: true,
    status: 503,
    action: 'Free disk space under BACKHAUL_DATA_DIR; the write is repeated.',
  },
  OBJECT_UNAVAILABLE: {
    rule: 'the object store must be reachable',
    retryable: true,
    status: 503,
    action: 'Check the store; whether the write happened is open, and it is safe to repeat.',
  },
  OBJECT_BUCKET_MISSING: {
    rule: 'the bucket of the objects must exist',
    retryable: false,
    action:
      'Set GCS_BUCKET to the bucket that has the objects. Where there is none yet: npx backhaul init gcp.',
  },
  OBJECT_CREDENTIALS_REFUSED: {
    rule: 'requests to the object store must bear valid credentials',
    retryable: false,
    action:
      'Give the process application default credentials: workload identity, a file that GOOGLE_APPLICATION_CREDENTIALS names, or on a desk gcloud auth application-default login. Then start the work again.',
  },
  OBJECT_NOT_AUTHORIZED: {
    rule: 'the credentials must be allowed what is asked of the object store',
    retryable: false,
    action:
      'Grant it: gcloud storage buckets add-iam-policy-binding gs://BUCKET --member=serviceAccount:ACCOUNT --role=roles/storage.objectUser. Then start the work again.',
  },
  OBJECT_REQUEST_REFUSED: {
    rule: 'the object store must take requests as they are made',
    retryable: false,
    action:
      'Check GCS_ENDPOINT, GCS_BUCKET and the policies of the bucket (retention, holds, organisation) against what the message says.',
  },
  OBJECT_DAMAGED: {
    rule: 'an object must have the size and checksum with which it was written',
    retryable: false,
    action: 'Check the disk and restore the object from a copy.',
  },
  OBJECT_STORE_CLOSED: {
    rule: 'the object store must be open',
    retryable: false,
    action: 'None: the process is stopping.',
  },
  LEASE_HELD: {
    rule: 'work that one process at a time may do must not be under way elsewhere',
    retryable: true,
    status: 409,
    action:
      'Wait for the holder named in the message. If its process has died, the lease ends by itself at the time given.',
  },
  LEASE_LOST: {
    rule: 'a holder must renew its lease before its time is past',
    retryable: true,
    action:
      'Start the work again: it goes on where it was. If it recurs, the process stands still for longer than its lease lasts.',
  },
  LEASE_INVALID: {
    rule: 'a lease must name its holder and its time',
    retryable: false,
    action: 'Something else wrote the object named in the message: move it away.',
  },
  CHECKPOINT_VERSION_NEWER: {
    rule: 'a checkpoint must have a format version that this program knows',
    retryable: false,
    action: 'Start the newer program again: an older one must not go on from its state.',
  },
  CHECKPOINT_TOPIC_MISMATCH: {
    rule: 'a checkpoint must be of the topic that is read, not of one that was deleted',
    retryable: false,
    action:
      'If the topic was created anew on purpose, raise PROCESSOR_TOPIC_EPOCH by one: its state is then built from the first record. If not, the log and the objects of BACKHAUL_DATA_DIR are not of one server: put back the two that belong together.',
  },
})
