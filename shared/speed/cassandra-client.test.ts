import { policies, types } from 'cassandra-driver'
import { expect, test } from 'vitest'
import { clientOptions } from './cassandra-client.ts'
import { cassandraSettings } from './testing/cassandra-settings.ts'

test('statements are answered by a quorum of this data center, may be repeated, and are by the store alone', () => {
  const options = clientOptions(cassandraSettings({}))
  expect(options.queryOptions).toMatchObject({
    consistency: types.consistencies.localQuorum,
    serialConsistency: types.consistencies.localSerial,
    isIdempotent: true,
    prepare: true,
  })
  expect(options.policies?.retry).toBeInstanceOf(policies.retry.FallthroughRetryPolicy)
})
