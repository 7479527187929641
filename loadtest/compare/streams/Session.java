import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * A session as it is kept: which events were seen, its state, and its sums. Its bytes are six
 * 64-bit integers (events, stalls, stallMs, playingMs, watchedMs, then the clock offset), and what
 * only this program reads.
 */
final class Session {
  /** Events of the window above the mark that can be told from repeats. */
  private static final int AHEAD_MAX = 64;

  private static final int FIXED_BYTES = 6 * Long.BYTES + Integer.BYTES + 2 * Long.BYTES + 3;

  long events;
  long stalls;
  long stallMs;
  long playingMs;
  long watchedMs;
  long clockOffsetMs;
  /** Every seq below it was seen. */
  private int mark;
  /** Bit n: seq `mark + n` was seen. */
  private long ahead;
  long lastMs;
  State state = State.IDLE;
  boolean attempted;
  boolean played;
  String cdn;

  static final Serde<Session> SERDE =
      Serdes.serdeFrom((topic, session) -> session == null ? null : session.toBytes(), reader());

  /** Whether the event is seen for the first time. */
  boolean isNew(int seq) {
    int distance = seq - mark;
    if (distance < 0) return false;
    if (distance >= AHEAD_MAX)
      throw new IllegalStateException("seq " + seq + " is too far above " + mark);
    if ((ahead & (1L << distance)) != 0) return false;
    ahead |= 1L << distance;
    int run = Long.numberOfTrailingZeros(~ahead);
    mark += run;
    ahead = run == AHEAD_MAX ? 0 : ahead >>> run;
    return true;
  }

  private byte[] toBytes() {
    byte[] name = cdn.getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes = ByteBuffer.allocate(FIXED_BYTES + name.length);
    bytes.putLong(events).putLong(stalls).putLong(stallMs).putLong(playingMs).putLong(watchedMs);
    bytes.putLong(clockOffsetMs).putInt(mark).putLong(ahead).putLong(lastMs);
    bytes.put((byte) state.ordinal()).put((byte) (attempted ? 1 : 0)).put((byte) (played ? 1 : 0));
    return bytes.put(name).array();
  }

  private static Deserializer<Session> reader() {
    return (topic, value) -> {
      if (value == null) return null;
      ByteBuffer bytes = ByteBuffer.wrap(value);
      Session session = new Session();
      session.events = bytes.getLong();
      session.stalls = bytes.getLong();
      session.stallMs = bytes.getLong();
      session.playingMs = bytes.getLong();
      session.watchedMs = bytes.getLong();
      session.clockOffsetMs = bytes.getLong();
      session.mark = bytes.getInt();
      session.ahead = bytes.getLong();
      session.lastMs = bytes.getLong();
      session.state = State.of(bytes.get());
      session.attempted = bytes.get() != 0;
      session.played = bytes.get() != 0;
      session.cdn =
          new String(value, bytes.position(), bytes.remaining(), StandardCharsets.UTF_8);
      return session;
    };
  }
}
