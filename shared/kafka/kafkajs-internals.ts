/**
 * What is used of kafkajs below its public interface: one connection, and the protocol's requests.
 * Its producer and consumer do not fit the event log (an answer with one refused partition is
 * refused whole, and nothing can be fetched without a group), its connections and its encoding do.
 * The package's version is pinned exactly; these are the only places that know its inside.
 */
import { createRequire } from 'node:module'
import { zstdCompressSync, zstdDecompressSync, constants } from 'node:zlib'
import type { SaslCredentials } from './kafka-client.ts'

export interface KafkajsConnectionOptions {
  readonly host: string
  readonly port: number
  readonly clientId: string
  readonly logger: KafkajsLogger
  readonly socketFactory: unknown
  readonly connectionTimeout: number
  readonly requestTimeout: number
  readonly maxInFlightRequests: number
  readonly ssl: { readonly ca?: string; readonly servername?: string } | null
  readonly sasl: {
    readonly mechanism: SaslCredentials['mechanism']
    readonly username: string
    readonly password: string
  } | null
}

interface KafkajsLogger {
  namespace(): KafkajsLogger
  debug(): void
  info(): void
  warn(): void
  error(): void
}

/** One request as kafkajs encodes it, and how its answer is decoded and judged. */
export interface KafkajsExchange<Answer> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    encode(): Promise<KafkajsEncoder>
  }
  readonly response: { decode(bytes: Buffer): Promise<Answer>; parse(answer: Answer): unknown }
  readonly requestTimeout?: number
}

export interface KafkajsConnection {
  readonly socket?: { destroy(): void }
  connect(): Promise<unknown>
  authenticate(): Promise<void>
  disconnect(): Promise<unknown>
  rejectRequests(error: Error): void
  isConnected(): boolean
  setVersions(versions: ApiVersions): void
  setSupportAuthenticationProtocol(supported: boolean): void
  send<Answer>(exchange: KafkajsExchange<Answer>): Promise<Answer>
}

type ApiVersions = Readonly<Record<number, { readonly maxVersion: number }>>

export interface KafkajsEncoder {
  writeInt32(value: number): this
  writeBoolean(value: boolean): this
  writeBuffer(value: Buffer): this
  writeUVarIntString(value: string | null): this
  /** Without a value: the end of a structure of the newer encoding. */
  writeUVarIntBytes(value?: Buffer): this
  writeUVarIntArray(values: readonly KafkajsEncoder[]): this
}

export interface KafkajsDecoder {
  readInt16(): number
  readInt32(): number
  readBoolean(): boolean
  readBytes(length: number): Buffer
  readUVarIntString(): string | null
  readUVarIntArray<Entry>(read: (decoder: KafkajsDecoder) => Entry): Entry[] | null
  readTaggedFields(): unknown
}

interface RequestDefinition {
  protocol(version: { readonly version: number }): (values: object) => KafkajsExchange<unknown>
}

const require = createRequire(import.meta.url)

export const Encoder = require('kafkajs/src/protocol/encoder') as new () => KafkajsEncoder
export const Decoder = require('kafkajs/src/protocol/decoder') as new (
  bytes: Buffer,
) => KafkajsDecoder
const Connection = require('kafkajs/src/network/connection') as new (
  options: KafkajsConnectionOptions,
) => KafkajsConnection
const createSocketFactory = require('kafkajs/src/network/socketFactory') as () => unknown
const { requests } = require('kafkajs/src/protocol/requests') as {
  readonly requests: Readonly<Record<string, RequestDefinition>>
}
const compression = require('kafkajs/src/protocol/message/compression') as {
  readonly Types: { readonly ZSTD: number }
  readonly Codecs: Record<number, () => unknown>
}

export const ZSTD = compression.Types.ZSTD

/** What the handshake of credentials must know of the broker: Kafka has had these since 2.5. */
const SASL_VERSIONS: ApiVersions = { 17: { maxVersion: 1 }, 36: { maxVersion: 1 } }

const silent: KafkajsLogger = {
  namespace: () => silent,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

/** kafkajs comes without zstd; this gives it Node's, for every batch of the process. */
export function useZstd(level: number): void {
  const params = { [constants.ZSTD_c_compressionLevel]: level }
  const codec = {
    compress: async (encoder: { readonly buffer: Buffer }) =>
      zstdCompressSync(encoder.buffer, { params }),
    decompress: async (bytes: Buffer) => zstdDecompressSync(bytes),
  }
  compression.Codecs[ZSTD] = () => codec
}

export function createConnection(
  options: Omit<KafkajsConnectionOptions, 'logger' | 'socketFactory'>,
): KafkajsConnection {
  const connection = new Connection({
    ...options,
    logger: silent,
    socketFactory: createSocketFactory(),
  })
  connection.setVersions(SASL_VERSIONS)
  connection.setSupportAuthenticationProtocol(true)
  return connection
}

/** A request of kafkajs whose answer is handed over as it is, refused parts included. */
export function exchange<Answer>(
  name: string,
  version: number,
  values: object,
): KafkajsExchange<Answer> {
  const definition = requests[name]
  if (definition === undefined) throw new Error(`kafkajs has no request ${name}`)
  const created = definition.protocol({ version })(values) as KafkajsExchange<Answer>
  const { decode } = created.response
  return { ...created, response: { decode, parse: (answer) => answer } }
}
