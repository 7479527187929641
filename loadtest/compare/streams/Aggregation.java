import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Optional;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Dedup, session and minutes of one partition in one step. Minutes are kept by partition and added
 * up by whoever reads them, as the product does it: no repartition topic stands between.
 */
final class Aggregation implements Processor<byte[], byte[], Void, Void> {
  static final String SESSIONS = "sessions";
  static final String MINUTES = "minutes";

  private final Progress progress;
  private final Frame frame = new Frame();
  private final FrameSums added = new FrameSums();
  private ProcessorContext<Void, Void> context;
  private KeyValueStore<String, Session> sessions;
  private KeyValueStore<String, Sums> minutes;

  Aggregation(Progress progress) {
    this.progress = progress;
  }

  @Override
  public void init(ProcessorContext<Void, Void> context) {
    this.context = context;
    sessions = context.getStateStore(SESSIONS);
    minutes = context.getStateStore(MINUTES);
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    if (record.value() != null && record.value().length > 0) take(record.value());
    Optional<RecordMetadata> metadata = context.recordMetadata();
    metadata.ifPresent(at -> progress.reached(at.partition(), at.offset()));
  }

  private void take(byte[] value) {
    try {
      frame.read(value);
    } catch (IOException unreadable) {
      throw new UncheckedIOException(unreadable);
    }
    Session session = sessions.get(frame.sessionId);
    added.panes.clear();
    for (int index = 0; index < frame.events; index++) {
      if (session == null) session = begin();
      if (session.isNew(frame.seqs[index])) apply(session, index);
      else progress.duplicates++;
    }
    if (session == null || added.panes.isEmpty()) return;
    sessions.put(frame.sessionId, session);
    for (FrameSums.Pane pane : added.panes) addToCuts(pane);
  }

  private Session begin() {
    Session session = new Session();
    session.clockOffsetMs = frame.receivedAtMs - frame.sentAtMs;
    session.cdn = frame.cdn;
    return session;
  }

  private void apply(Session session, int index) {
    EventType type = frame.types[index];
    boolean isFirst = session.events == 0;
    long corrected = frame.atMs[index] + session.clockOffsetMs;
    long timeMs = isFirst ? corrected : Math.max(corrected, session.lastMs);
    if (!isFirst) accrue(session, timeMs);
    if (type == EventType.CDN && frame.cdns[index] != null) session.cdn = frame.cdns[index];

    Sums sums = added.at(timeMs, session.cdn);
    State before = session.state;
    State after = before.after(type);
    boolean implied = before == State.IDLE && (type == EventType.START || type == EventType.FAIL);
    if (!session.attempted && (type == EventType.REQUEST || implied)) {
      session.attempted = true;
      sums.attempts++;
    }
    if (!session.played && after == State.PLAYING) {
      session.played = true;
      sums.plays++;
    }
    if (before == State.PLAYING && after == State.STALLED) {
      session.stalls++;
      sums.stalls++;
    }
    if (isFirst) sums.sessions++;
    sums.events++;
    session.events++;
    session.state = after;
    session.lastMs = timeMs;
    progress.events++;
  }

  /** The time since the last event, in the state that it left, cut at the minutes. */
  private void accrue(Session session, long untilMs) {
    if (!session.state.isWatched()) return;
    boolean plays = session.state == State.PLAYING;
    boolean stalls = session.state == State.STALLED;
    for (long fromMs = session.lastMs; fromMs < untilMs; ) {
      long minuteEndMs = (Math.floorDiv(fromMs, FrameSums.MINUTE_MS) + 1) * FrameSums.MINUTE_MS;
      long ms = Math.min(untilMs, minuteEndMs) - fromMs;
      Sums sums = added.at(fromMs, session.cdn);
      sums.watchedMs += ms;
      session.watchedMs += ms;
      if (plays) {
        sums.playingMs += ms;
        session.playingMs += ms;
      } else if (stalls) {
        sums.stallMs += ms;
        session.stallMs += ms;
      }
      fromMs += ms;
    }
  }

  private void addToCuts(FrameSums.Pane pane) {
    long minuteMs = pane.minuteMs();
    addTo("total\n" + minuteMs, pane.sums());
    addTo("cdn\n" + minuteMs + "\n" + pane.cdn(), pane.sums());
    String player = frame.player + "\n" + frame.playerVersion;
    addTo("player+playerVersion\n" + minuteMs + "\n" + player, pane.sums());
    addTo("deviceType\n" + minuteMs + "\n" + frame.deviceType, pane.sums());
    addTo("country\n" + minuteMs + "\n" + frame.country, pane.sums());
    addTo("content\n" + minuteMs + "\n" + frame.content, pane.sums());
  }

  private void addTo(String key, Sums sums) {
    Sums kept = minutes.get(key);
    if (kept == null) kept = new Sums();
    kept.add(sums);
    minutes.put(key, kept);
  }
}
