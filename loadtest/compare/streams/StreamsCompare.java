import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * Dedup, sessions and minutes of `playback.events` in Kafka Streams, to be measured beside the
 * product. Reads from the first record to the ends that it is told, closes, so that all it keeps is
 * in its stores and their changelog topics, and prints one line: it is still there until its
 * standard input ends, so that what it used can be read.
 */
final class StreamsCompare {
  private static final String CACHE_BYTES = String.valueOf(256L << 20);
  private static final String FETCH_BYTES = String.valueOf(4 << 20);

  public static void main(String[] args) throws Exception {
    Arguments arguments =
        new Arguments(args[0], args[1], args[2], args[3], Path.of(args[4]), args[5], args[6]);
    Progress progress = new Progress(arguments.ends);
    KafkaStreams streams =
        new KafkaStreams(topology(arguments, progress), properties(arguments));
    streams.setUncaughtExceptionHandler(
        failure -> {
          failure.printStackTrace();
          // Ends at once: a comparison with a program that starts anew would say nothing.
          Runtime.getRuntime().halt(1);
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    streams.start();
    progress.await();
    streams.close();
    System.out.println(
        "{\"events\":" + progress.events + ",\"duplicates\":" + progress.duplicates + "}");
    System.out.flush();
    while (System.in.read() >= 0) continue;
  }

  /** @param stores `rocksdb` or `memory` */
  private record Arguments(
      String brokers,
      String applicationId,
      String topic,
      String ends,
      Path folder,
      String commitIntervalMs,
      String stores) {}

  private static Topology topology(Arguments arguments, Progress progress) {
    Topology topology = new Topology();
    topology.addSource(
        "events",
        Serdes.ByteArray().deserializer(),
        Serdes.ByteArray().deserializer(),
        arguments.topic);
    topology.addProcessor("aggregation", () -> new Aggregation(progress), "events");
    topology.addStateStore(store(arguments, Aggregation.SESSIONS, Session.SERDE), "aggregation");
    topology.addStateStore(store(arguments, Aggregation.MINUTES, Sums.SERDE), "aggregation");
    return topology;
  }

  private static <V> StoreBuilder<KeyValueStore<String, V>> store(
      Arguments arguments, String name, Serde<V> serde) {
    KeyValueBytesStoreSupplier supplier =
        arguments.stores.equals("memory")
            ? Stores.inMemoryKeyValueStore(name)
            : Stores.persistentKeyValueStore(name);
    return Stores.keyValueStoreBuilder(supplier, Serdes.String(), serde)
        .withCachingEnabled()
        .withLoggingEnabled(Map.of());
  }

  private static Properties properties(Arguments arguments) {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments.applicationId);
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.brokers);
    properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments.folder.toString());
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, "1");
    properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments.commitIntervalMs);
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
    properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
    properties.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "zstd");
    properties.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), "262144");
    properties.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), "100");
    properties.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), "5000");
    properties.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG),
        FETCH_BYTES);
    return properties;
  }
}
