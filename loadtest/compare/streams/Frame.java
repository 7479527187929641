import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.Arrays;

/**
 * The value of a record, read by Jackson's streaming parser into arrays that are used again for the
 * next: no object is made for an event. What the aggregation does not need is skipped.
 */
final class Frame {
  private static final JsonFactory JSON = new JsonFactory();

  String sessionId;
  String content;
  String cdn;
  String deviceType;
  String player;
  String playerVersion;
  String country;
  long sentAtMs;
  long receivedAtMs;

  int events;
  int[] seqs = new int[64];
  long[] atMs = new long[64];
  EventType[] types = new EventType[64];
  /** Where delivery moves to, of a `cdnUpdate`. */
  String[] cdns = new String[64];

  void read(byte[] value) throws IOException {
    content = cdn = deviceType = player = playerVersion = country = "unknown";
    events = 0;
    try (JsonParser json = JSON.createParser(value)) {
      json.nextToken();
      for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
        json.nextToken();
        switch (name) {
          case "session" -> readSession(json);
          case "sentAt" -> sentAtMs = json.getLongValue();
          case "receivedAt" -> receivedAtMs = json.getLongValue();
          case "events" -> {
            while (json.nextToken() != JsonToken.END_ARRAY) readEvent(json);
          }
          default -> json.skipChildren();
        }
      }
    }
  }

  private void readSession(JsonParser json) throws IOException {
    for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
      json.nextToken();
      switch (name) {
        case "sessionId" -> sessionId = json.getText();
        case "contentId" -> content = json.getText();
        case "cdn" -> cdn = json.getText();
        case "country" -> country = json.getText();
        case "device" -> readDevice(json);
        case "player" -> readPlayer(json);
        default -> json.skipChildren();
      }
    }
  }

  private void readDevice(JsonParser json) throws IOException {
    for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
      json.nextToken();
      if (name.equals("type")) deviceType = json.getText();
      else json.skipChildren();
    }
  }

  private void readPlayer(JsonParser json) throws IOException {
    for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
      json.nextToken();
      if (name.equals("name")) player = json.getText();
      else if (name.equals("version")) playerVersion = json.getText();
      else json.skipChildren();
    }
  }

  private void readEvent(JsonParser json) throws IOException {
    if (events == seqs.length) grow();
    cdns[events] = null;
    for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
      json.nextToken();
      switch (name) {
        case "seq" -> seqs[events] = json.getIntValue();
        case "at" -> atMs[events] = json.getLongValue();
        case "type" -> types[events] = EventType.named(json.getText());
        case "cdn" -> cdns[events] = json.getText();
        default -> json.skipChildren();
      }
    }
    events++;
  }

  private void grow() {
    int length = 2 * seqs.length;
    seqs = Arrays.copyOf(seqs, length);
    atMs = Arrays.copyOf(atMs, length);
    types = Arrays.copyOf(types, length);
    cdns = Arrays.copyOf(cdns, length);
  }
}
