/**
 * The metadata request in a version that kafkajs does not have: the first whose answer tells a
 * topic's id by which a topic that was created again is known (version 12, compact encoding).
 */
import { topicIdText, type ClusterMetadata, type TopicMetadata } from './kafka-client.ts'
import {
  Decoder,
  Encoder,
  type KafkajsDecoder,
  type KafkajsEncoder,
  type KafkajsExchange,
} from './kafkajs-internals.ts'

const METADATA_KEY = 3
const VERSION = 12
const NO_TOPIC_ID = Buffer.alloc(16)

export function metadataExchange(topics: readonly string[]): KafkajsExchange<ClusterMetadata> {
  return {
    request: {
      apiKey: METADATA_KEY,
      apiVersion: VERSION,
      apiName: 'Metadata',
      encode: async () =>
        new Encoder()
          // The end of the newer request header, which kafkajs does not write.
          .writeUVarIntBytes()
          .writeUVarIntArray(topics.map(topicEntry))
          .writeBoolean(false)
          .writeBoolean(false)
          .writeUVarIntBytes(),
    },
    response: {
      decode: async (bytes) => decodeMetadata(new Decoder(bytes)),
      parse: (answer) => answer,
    },
  }
}

function topicEntry(name: string): KafkajsEncoder {
  return new Encoder().writeBuffer(NO_TOPIC_ID).writeUVarIntString(name).writeUVarIntBytes()
}

function decodeMetadata(decoder: KafkajsDecoder): ClusterMetadata {
  decoder.readTaggedFields()
  decoder.readInt32()
  const brokers = decoder.readUVarIntArray(decodeBroker) ?? []
  decoder.readUVarIntString()
  const controllerId = decoder.readInt32()
  return { brokers, controllerId, topics: decoder.readUVarIntArray(decodeTopic) ?? [] }
}

function decodeBroker(decoder: KafkajsDecoder) {
  const nodeId = decoder.readInt32()
  const host = decoder.readUVarIntString() ?? ''
  const port = decoder.readInt32()
  decoder.readUVarIntString()
  decoder.readTaggedFields()
  return { nodeId, host, port }
}

function decodeTopic(decoder: KafkajsDecoder): TopicMetadata {
  const errorCode = decoder.readInt16()
  const name = decoder.readUVarIntString() ?? ''
  const topicId = topicIdText(decoder.readBytes(16).toString('hex'))
  decoder.readBoolean()
  const leaders: number[] = []
  for (const { partition, leader } of decoder.readUVarIntArray(decodePartition) ?? [])
    leaders[partition] = leader
  decoder.readInt32()
  decoder.readTaggedFields()
  return { name, errorCode, topicId, leaders }
}

function decodePartition(decoder: KafkajsDecoder) {
  decoder.readInt16()
  const partition = decoder.readInt32()
  const leader = decoder.readInt32()
  decoder.readInt32()
  for (const _ of ['replicas', 'in sync', 'offline'])
    decoder.readUVarIntArray((entry) => entry.readInt32())
  decoder.readTaggedFields()
  return { partition, leader }
}
