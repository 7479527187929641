-- Every copy of an event, and every rejected seq, of the sessions to compute: one row a copy.
-- Only what a metric needs is carried on, and an integer stands for the sessionId, because every
-- step below sorts or hashes these rows. The first day is a value and not a column, so that BigQuery
-- reads no day before it. Restored ones are none but where `reconcile` asks for them. A split session
-- is numbered by the offsets of its partition alone.
SELECT
  t.session_key,
  IF(t.log_partition IS NULL, e.incarnation, NULL) AS incarnation,
  e.seq,
  TRUE AS accepted,
  TRUE AS is_event,
  e.log_partition,
  e.log_offset,
  e.log_index,
  e.logged_at_ms,
  e.watermark_ms,
  e.received_at_ms,
  e.sent_at_ms,
  e.at_ms,
  e.type,
  e.content_id,
  e.event_cdn,
  e.playback_rate,
  e.video_bitrate_kbps,
  e.audio_bitrate_kbps,
  e.startup_ms
FROM events AS e
JOIN facts_touched AS t
  ON t.session_id = e.session_id
  AND COALESCE(t.log_partition, e.log_partition) = e.log_partition
WHERE e.received_date >= CAST(@from_date AS DATE) AND e.incarnation >= t.incarnation
  AND e.session_id BETWEEN @first_session AND @last_session
UNION ALL
SELECT
  t.session_key,
  IF(t.log_partition IS NULL, c.incarnation, NULL) AS incarnation,
  c.seq,
  c.kind = 'duplicate' AS accepted,
  FALSE AS is_event,
  c.log_partition,
  c.log_offset,
  c.log_index,
  c.logged_at_ms,
  c.watermark_ms,
  c.received_at_ms,
  c.sent_at_ms,
  c.at_ms,
  c.type,
  c.content_id,
  c.event_cdn,
  c.playback_rate,
  c.video_bitrate_kbps,
  c.audio_bitrate_kbps,
  c.startup_ms
FROM event_copies AS c
JOIN facts_touched AS t
  ON t.session_id = c.session_id
  AND COALESCE(t.log_partition, c.log_partition) = c.log_partition
WHERE c.received_date >= CAST(@from_date AS DATE) AND c.incarnation >= t.incarnation
  AND c.session_id BETWEEN @first_session AND @last_session
UNION ALL
SELECT
  t.session_key,
  IF(t.log_partition IS NULL, r.incarnation, NULL) AS incarnation,
  r.seq,
  r.kind = 'duplicate' AS accepted,
  FALSE AS is_event,
  r.log_partition,
  r.log_offset,
  r.log_index,
  r.logged_at_ms,
  r.watermark_ms,
  r.received_at_ms,
  r.sent_at_ms,
  r.at_ms,
  r.type,
  r.content_id,
  r.event_cdn,
  r.playback_rate,
  r.video_bitrate_kbps,
  r.audio_bitrate_kbps,
  r.startup_ms
FROM facts_restored_copies AS r
JOIN facts_touched AS t
  ON t.session_id = r.session_id
  AND COALESCE(t.log_partition, r.log_partition) = r.log_partition
WHERE r.received_date >= CAST(@from_date AS DATE) AND r.incarnation >= t.incarnation
  AND r.session_id BETWEEN @first_session AND @last_session
