-- What became of every copy. An exclusion holds for the copy that it names: when that copy wins its
-- identity, the identity is left out and no later copy replaces it. `seen` says whether it counts as
-- seen for `lost`, `forgotten` that the fold no longer knew whether it had been seen before.
SELECT
  i.incarnation_key,
  c.seq,
  c.accepted,
  r.log_offset IS NULL AS winner,
  x.seq IS NOT NULL AS excluded,
  COALESCE(x.seen, TRUE) AS seen,
  COALESCE(x.forgotten, FALSE) AS forgotten,
  c.log_partition,
  c.log_offset,
  c.log_index,
  c.logged_at_ms,
  c.watermark_ms,
  c.received_at_ms,
  c.received_at_ms - c.sent_at_ms AS clock_offset_ms,
  c.at_ms,
  c.type,
  c.content_id,
  c.event_cdn,
  c.playback_rate,
  c.video_bitrate_kbps,
  c.audio_bitrate_kbps,
  c.startup_ms
FROM facts_copies AS c
JOIN facts_incarnation_ranges AS i
  ON i.session_key = c.session_key
  AND c.log_offset >= i.incarnation
  AND (i.next_incarnation IS NULL OR c.log_offset < i.next_incarnation)
LEFT JOIN facts_repeats AS r
  ON r.log_partition = c.log_partition
  AND r.log_offset = c.log_offset
  AND r.log_index = c.log_index
LEFT JOIN facts_excluded AS x
  ON x.session_key = c.session_key
  AND x.seq = c.seq
  AND x.log_partition = c.log_partition
  AND x.log_offset = c.log_offset
  AND x.accepted = c.accepted
