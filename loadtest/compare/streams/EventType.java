/** The events that a session's state depends on; all others are `OTHER`. */
enum EventType {
  REQUEST,
  START,
  PAUSE,
  STALL,
  SEEK,
  END,
  FAIL,
  CDN,
  OTHER;

  static EventType named(String name) {
    return switch (name) {
      case "playbackRequest" -> REQUEST;
      case "playbackStart" -> START;
      case "playbackPause" -> PAUSE;
      case "playbackStall" -> STALL;
      case "seekStart" -> SEEK;
      case "playbackFinish", "sessionEnd" -> END;
      case "playbackFail" -> FAIL;
      case "cdnUpdate" -> CDN;
      default -> OTHER;
    };
  }
}
