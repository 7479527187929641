import { beforeEach, describe, expect, it } from 'vitest'
import { logErrors } from '../log/log-errors.ts'
import { ManualClock } from '../runtime/clock.ts'
import { Connections, parseAddress } from './connections.ts'
import type { BrokerConnection } from './kafka-client.ts'
import { RECONNECT_MAX_MS, RECONNECT_MS } from './limits.ts'

const ADDRESS = { host: 'broker', port: 9_092 }

let clock: ManualClock
let attempts: number
let failing: boolean
let opened: { isOpen: boolean }[]
let connections: Connections

beforeEach(() => {
  clock = new ManualClock()
  attempts = 0
  failing = false
  opened = []
  connections = new Connections({
    client: {
      connect: async () => {
        attempts += 1
        if (failing) throw logErrors.create('LOG_UNAVAILABLE')
        const connection = { isOpen: true, close: async () => undefined }
        opened.push(connection)
        return connection as unknown as BrokerConnection
      },
    },
    clock,
    observer: { connectionOpened: () => undefined, connectionFailed: () => undefined },
    requestTimeoutMs: () => 1_000,
  })
})

describe('connections', () => {
  it('are opened once for each broker and purpose, and anew when they were lost', async () => {
    const [one, same] = await Promise.all([
      connections.get(ADDRESS, 'produce'),
      connections.get(ADDRESS, 'produce'),
    ])
    expect(one).toBe(same)
    expect(await connections.get(ADDRESS, 'fetch')).not.toBe(one)
    expect(connections.open).toBe(2)
    for (const connection of opened) connection.isOpen = false
    expect(connections.openNow(ADDRESS, 'produce')).toBeUndefined()
    expect(await connections.get(ADDRESS, 'produce')).not.toBe(one)
  })

  it('are tried again after a while only, longer each time', async () => {
    failing = true
    const unavailable = { code: 'LOG_UNAVAILABLE' }
    for (let waitMs = RECONNECT_MS, tries = 1; tries <= 8; tries += 1) {
      await expect(connections.get(ADDRESS, 'produce')).rejects.toMatchObject(unavailable)
      await expect(connections.get(ADDRESS, 'produce')).rejects.toMatchObject(unavailable)
      expect(attempts).toBe(tries)
      await clock.advance(waitMs)
      waitMs = Math.min(RECONNECT_MAX_MS, 2 * waitMs)
    }
    failing = false
    expect(await connections.get(ADDRESS, 'produce')).toMatchObject({ isOpen: true })
  })

  it('are none after the end', async () => {
    await connections.close()
    await expect(connections.get(ADDRESS, 'produce')).rejects.toMatchObject({ code: 'LOG_CLOSED' })
  })

  it('go to a host by name or by address', () => {
    expect(parseAddress('kafka-1.example:9092')).toEqual({ host: 'kafka-1.example', port: 9_092 })
    expect(parseAddress('[::1]:9093')).toEqual({ host: '::1', port: 9_093 })
  })
})
