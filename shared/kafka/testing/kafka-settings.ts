import { kafkaConfig, type KafkaConfig } from '../../log/kafka-config.ts'
import { readConfig } from '../../runtime/config.ts'

/** Settings for a test's brokers: the defaults, on one broker, but for what is given. */
export function kafkaSettings(overrides: Partial<KafkaConfig>): KafkaConfig {
  const defaults = readConfig(kafkaConfig, {}, () => '')
  return { ...defaults, replicationFactor: 1, minInsyncReplicas: 1, ...overrides }
}
