import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { Balancer } from './balancer.ts'

const servers: Server[] = []
let balancer: Balancer

/** Answers with its name. */
async function serverNamed(name: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => socket.end(`${name}: ${bytes.toString()}`))
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function ask(text: string): Promise<string> {
  const socket = connect({ port: balancer.port, host: '127.0.0.1' })
  let answer = ''
  socket.on('data', (bytes) => (answer += bytes.toString()))
  socket.on('error', () => undefined)
  socket.write(text)
  // It may end by an error, which is told besides.
  await new Promise((resolve) => socket.once('close', resolve))
  return answer
}

afterEach(async () => {
  await balancer.stop()
  await Promise.all(servers.splice(0).map((server) => new Promise((done) => server.close(done))))
})

test('connections go to one after the other, and pass by who is away', async () => {
  balancer = await Balancer.start([await serverNamed('a'), await serverNamed('b')])
  expect([await ask('1'), await ask('2'), await ask('3')]).toEqual(['a: 1', 'b: 2', 'a: 3'])
  servers[1]?.close()
  expect([await ask('4'), await ask('5')]).toEqual(['a: 4', 'a: 5'])
})

test('with nobody there a connection is cut', async () => {
  balancer = await Balancer.start([await serverNamed('a')])
  servers[0]?.close()
  expect(await ask('1')).toBe('')
})
