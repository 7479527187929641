/** The playback state machine of the metrics' definitions. */
enum State {
  IDLE,
  STARTING,
  PLAYING,
  PAUSED,
  STALLED,
  SEEKING,
  ENDED,
  FAILED;

  private static final State[] ALL = values();

  static State of(int ordinal) {
    return ALL[ordinal];
  }

  State after(EventType type) {
    boolean over = this == ENDED || this == FAILED;
    return switch (type) {
      case REQUEST -> this == IDLE || this == PAUSED || over ? STARTING : this;
      case START -> over ? this : PLAYING;
      case PAUSE -> over || this == IDLE ? this : PAUSED;
      case STALL -> this == PLAYING ? STALLED : this;
      case SEEK -> this == PLAYING ? SEEKING : this;
      case END -> over ? this : ENDED;
      case FAIL -> over ? this : FAILED;
      case CDN, OTHER -> this;
    };
  }

  boolean isWatched() {
    return this == STARTING || this == PLAYING || this == STALLED || this == SEEKING;
  }
}
