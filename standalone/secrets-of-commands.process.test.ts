/**
 * Commands tell no secret, whatever they fail at: stores that hang up on them, APIs that refuse them and
 * send back what they were sent, settings that are wrong.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { leaksIn, SECRET_NAMES, secretFiles } from './testing/canaries.ts'

const ROOT = join(import.meta.dirname, '..')
const COMMANDS = join(ROOT, 'batch', 'cli', 'main.ts')
const SQL_SHELL = join(ROOT, 'batch', 'sql-shell', 'main.ts')

let folder: string
/** Takes connections and ends them. */
let stranger: Server
let node: RefusingNode
/** Gives a token, or refuses to, and refuses everything else with all that it was sent. */
let echo: HttpServer
let echoUrl: string
/** What `echo` was sent: headers and bodies. */
let sent = ''
let givesTokens = true

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-secrets-of-commands-'))
  stranger = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  echo = createHttpServer((request, response) => {
    void text(request).then((body) => {
      const said = JSON.stringify([request.headers, body])
      sent += said
      const isToken = request.url === '/token' && givesTokens
      response.writeHead(isToken ? 200 : 401, { 'content-type': 'application/json', 'x-was': '1' })
      response.end(JSON.stringify(isToken ? TOKEN : { error: 'refused', sent: said }))
    })
  }).listen(0, '127.0.0.1')
  node = new RefusingNode()
  await Promise.all([stranger, echo, node.server].map((server) => once(server, 'listening')))
  echoUrl = `http://127.0.0.1:${portOf(echo)}`
  writeFileSync(join(folder, 'subject'), 'canary-subject-token')
  writeFileSync(join(folder, 'token'), 'canary.given.token')
  writeFileSync(
    join(folder, 'credentials.json'),
    JSON.stringify({
      type: 'external_account',
      audience:
        '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${echoUrl}/token`,
      credential_source: { file: join(folder, 'subject') },
    }),
  )
})
afterAll(async () => {
  stranger.close()
  node.server.close()
  echo.closeAllConnections()
  await new Promise((resolve) => echo.close(resolve))
  rmSync(folder, { recursive: true })
})

const TOKEN = {
  access_token: 'canary-access-token',
  issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  token_type: 'Bearer',
  expires_in: 3_600,
}

const portOf = (server: Server) => (server.address() as AddressInfo).port

/** A node of Cassandra that asks for credentials and refuses them: of its protocol, version 4, that much. */
class RefusingNode {
  sent = ''
  readonly server: Server

  constructor() {
    this.server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (frame: Buffer) => {
        this.sent += frame.toString('latin1')
        const [stream, opcode] = [frame.subarray(2, 4), frame[4]]
        const answer = frame[0] === CQL_4 ? ANSWERS[opcode ?? 0] : OTHER_VERSION
        if (answer === undefined) return void socket.destroy()
        const length = Buffer.alloc(4)
        length.writeUInt32BE(answer.body.length)
        const head = Buffer.from([0x80 | CQL_4, 0, ...stream, answer.opcode, ...length])
        socket.write(Buffer.concat([head, answer.body]))
      })
    }).listen(0, '127.0.0.1')
  }
}

const CQL_4 = 4
const cqlText = (said: string) => Buffer.concat([Buffer.from([0, said.length]), Buffer.from(said)])
const cqlError = (code: number, said: string) => ({
  opcode: 0x00,
  body: Buffer.concat([Buffer.from([0, 0, code >> 8, code & 0xff]), cqlText(said)]),
})
const OTHER_VERSION = cqlError(0x000a, 'Invalid or unsupported protocol version')
/** By what was asked: STARTUP, OPTIONS, AUTH_RESPONSE. */
const ANSWERS: Readonly<Record<number, { readonly opcode: number; readonly body: Buffer }>> = {
  0x01: {
    opcode: 0x03,
    body: cqlText('org.apache.cassandra.auth.PasswordAuthenticator'),
  },
  0x05: { opcode: 0x06, body: Buffer.from([0, 0]) },
  0x0f: cqlError(0x0100, 'Provided username backhaul and/or password are incorrect'),
}

/** A command to its end, with every secret that there is as a file, on stores of which none is what it should be. */
async function run(
  script: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
) {
  const child = spawn(process.execPath, [script, ...args], {
    env: {
      PATH: process.env['PATH'],
      BACKHAUL_DATA_DIR: folder,
      BACKHAUL_LOG_LEVEL: 'debug',
      BACKHAUL_AUTH_MODE: 'hs256',
      ...secretFiles(folder, SECRET_NAMES),
      EVENT_LOG: 'kafka',
      KAFKA_BROKERS: `127.0.0.1:${portOf(stranger)}`,
      KAFKA_SECURITY: 'SASL_PLAINTEXT',
      KAFKA_SASL_USER: 'backhaul',
      KAFKA_REQUEST_TIMEOUT_MS: '500',
      PROCESSOR_SPEED_STORE: 'cassandra',
      CASSANDRA_CONTACT_POINTS: `127.0.0.1:${portOf(node.server)}`,
      CASSANDRA_USER: 'backhaul',
      CASSANDRA_CONNECT_TIMEOUT_MS: '500',
      OBJECT_STORE: 'gcs',
      GCS_BUCKET: 'bucket',
      GCS_ENDPOINT: echoUrl,
      GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'credentials.json'),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close') as Promise<[number]>
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    ended,
  ])
  return { output, errors, code }
}

test.each([
  ['batch run --json', 'LOG_UNAVAILABLE', { OBJECT_STORE: 'folder' }],
  ['batch run', 'LOG_UNAVAILABLE', { OBJECT_STORE: 'folder', KAFKA_CLIENT: 'kafkajs' }],
])(
  'npx backhaul %s tells nothing of brokers that hang up (%s)',
  async (line, code, environment) => {
    const ended = await run(COMMANDS, line.split(' '), environment)
    expect(ended.errors).toContain(code)
    expect(leaksIn([ended.output, ended.errors])).toEqual([])
  },
)

test('npx backhaul schema migrate tells nothing of a node that refuses its password', async () => {
  const ended = await run(COMMANDS, ['schema', 'migrate', '--json'])
  expect(ended.errors).toContain('SPEED_CREDENTIALS_REFUSED')
  expect(node.sent).toContain('canary-cassandra-password')
  expect(leaksIn([ended.output, ended.errors])).toEqual([])
})

test.each([
  ['npx backhaul reconcile --json', COMMANDS, ['reconcile', '--json']],
  ['npm run sql', SQL_SHELL, ['SELECT 1']],
])('%s tells nothing of a bucket that refuses its token', async (_line, script, args) => {
  sent = ''
  const ended = await run(script, args)
  expect(ended.errors).toContain('OBJECT_CREDENTIALS_REFUSED')
  expect(sent).toContain('canary-subject-token')
  expect(sent).toContain('Bearer canary-access-token')
  expect(leaksIn([ended.output, ended.errors])).toEqual([])
})

test('npx backhaul init gcp tells nothing of an identity that is refused a token', async () => {
  sent = ''
  givesTokens = false
  const ended = await run(COMMANDS, ['init', 'gcp', '--project', 'a', '--json'])
  givesTokens = true
  expect(ended.errors).toContain('CREDENTIALS_REFUSED')
  expect(sent).toContain('canary-subject-token')
  expect(leaksIn([ended.output, ended.errors])).toEqual([])
})

test('npx backhaul smoke tells nothing of a gateway that refuses its token', async () => {
  sent = ''
  const gateway = `${echoUrl.replace('http', 'ws')}/v1/events`
  const args = ['smoke', '--gateway', gateway, '--serving', echoUrl, '--wait', '1', '--json']
  const ended = await run(COMMANDS, [...args, '--token-file', join(folder, 'token')])
  expect(ended.errors).toContain('CLI_SMOKE_NOT_ACKNOWLEDGED')
  const encoded = Buffer.from('canary.given.token').toString('base64url')
  expect(sent).toContain(encoded)
  expect(leaksIn([ended.output, ended.errors], [encoded])).toEqual([])
})
