import java.util.ArrayList;
import java.util.List;

/**
 * What one frame adds, by minute and CDN: its events mostly fall into one minute, so the stores are
 * asked once for a frame and key, not once for an event.
 */
final class FrameSums {
  static final long MINUTE_MS = 60_000;

  record Pane(long minuteMs, String cdn, Sums sums) {}

  final List<Pane> panes = new ArrayList<>();

  Sums at(long timeMs, String cdn) {
    long minuteMs = Math.floorDiv(timeMs, MINUTE_MS) * MINUTE_MS;
    for (int index = panes.size() - 1; index >= 0; index--) {
      Pane pane = panes.get(index);
      if (pane.minuteMs == minuteMs && pane.cdn.equals(cdn)) return pane.sums;
    }
    Sums sums = new Sums();
    panes.add(new Pane(minuteMs, cdn, sums));
    return sums;
  }
}
