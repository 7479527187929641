-- The context of each part: that of the frame which carried its first event. All of its columns are
-- read here, a row a part, so that no step before has to carry them along.
WITH firsts AS (
  SELECT
    p.incarnation_key,
    p.part,
    e.log_partition,
    e.log_offset,
    e.log_index
  FROM facts_parts AS p
  JOIN facts_identities AS e ON e.incarnation_key = p.incarnation_key AND e.seq = p.first_seq
  WHERE e.winner
),
contexts AS (
  SELECT
    log_partition, log_offset, log_index, session_bucket, received_date, content_id,
    content_title, series_id, stream_type, streaming_format, cdn, device_type, device_make,
    device_model, device_os, device_os_version, player_name, player_version, app_name, app_version,
    country, isp, autoplay, labels, viewer_pseudonym
  FROM events
  WHERE session_id BETWEEN @first_session AND @last_session
  UNION ALL
  SELECT
    log_partition, log_offset, log_index, session_bucket, received_date, content_id,
    content_title, series_id, stream_type, streaming_format, cdn, device_type, device_make,
    device_model, device_os, device_os_version, player_name, player_version, app_name, app_version,
    country, isp, autoplay, labels, viewer_pseudonym
  FROM event_copies
  WHERE session_id BETWEEN @first_session AND @last_session
  UNION ALL
  SELECT
    log_partition, log_offset, log_index, session_bucket, received_date, content_id,
    content_title, series_id, stream_type, streaming_format, cdn, device_type, device_make,
    device_model, device_os, device_os_version, player_name, player_version, app_name, app_version,
    country, isp, autoplay, labels, viewer_pseudonym
  FROM facts_restored_copies
  WHERE session_id BETWEEN @first_session AND @last_session
)
SELECT f.incarnation_key, f.part, c.*
FROM firsts AS f
JOIN contexts AS c
  ON c.log_partition = f.log_partition
  AND c.log_offset = f.log_offset
  AND c.log_index = f.log_index
CROSS JOIN facts_parameters AS p
WHERE c.received_date >= p.from_date
