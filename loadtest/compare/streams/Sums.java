import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** What is summed in each minute of each key; eight 64-bit integers in this order are its bytes. */
final class Sums {
  long events;
  long sessions;
  long attempts;
  long plays;
  long stalls;
  long stallMs;
  long playingMs;
  long watchedMs;

  static final Serde<Sums> SERDE =
      Serdes.serdeFrom((topic, sums) -> sums == null ? null : sums.toBytes(), reader());

  void add(Sums other) {
    events += other.events;
    sessions += other.sessions;
    attempts += other.attempts;
    plays += other.plays;
    stalls += other.stalls;
    stallMs += other.stallMs;
    playingMs += other.playingMs;
    watchedMs += other.watchedMs;
  }

  private byte[] toBytes() {
    ByteBuffer bytes = ByteBuffer.allocate(8 * Long.BYTES);
    bytes.putLong(events).putLong(sessions).putLong(attempts).putLong(plays);
    bytes.putLong(stalls).putLong(stallMs).putLong(playingMs).putLong(watchedMs);
    return bytes.array();
  }

  private static Deserializer<Sums> reader() {
    return (topic, value) -> {
      if (value == null) return null;
      ByteBuffer bytes = ByteBuffer.wrap(value);
      Sums sums = new Sums();
      sums.events = bytes.getLong();
      sums.sessions = bytes.getLong();
      sums.attempts = bytes.getLong();
      sums.plays = bytes.getLong();
      sums.stalls = bytes.getLong();
      sums.stallMs = bytes.getLong();
      sums.playingMs = bytes.getLong();
      sums.watchedMs = bytes.getLong();
      return sums;
    };
  }
}
