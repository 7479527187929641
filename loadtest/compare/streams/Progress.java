import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** How far the one thread that works has come, and when it has read all that it was told of. */
final class Progress {
  private final Map<Integer, Long> ends = new HashMap<>();
  private final CountDownLatch left;
  long events;
  long duplicates;

  /** @param ends `partition=end offset` of every partition that holds anything, with commas between */
  Progress(String ends) {
    for (String end : ends.split(",")) {
      String[] parts = end.split("=");
      this.ends.put(Integer.valueOf(parts[0]), Long.valueOf(parts[1]));
    }
    left = new CountDownLatch(this.ends.size());
  }

  void reached(int partition, long offset) {
    Long end = ends.get(partition);
    if (end != null && offset + 1 == end) left.countDown();
  }

  void await() throws InterruptedException {
    left.await();
  }
}
