-- Device time of each study by kind of device: used, still held, and what failures and restarts took.
-- :study text = null -- only this study
SELECT l.study, l.unit,
  sum(l.used_seconds) AS used_seconds,
  sum(CASE WHEN l.settled IS NULL AND l.reserved_seconds > l.used_seconds
      THEN l.reserved_seconds - l.used_seconds ELSE 0 END) AS held_seconds,
  sum(CASE WHEN t.state = 'failed' THEN l.used_seconds ELSE 0 END) AS failed_seconds,
  sum(CASE WHEN l.attempt < t.attempts THEN l.used_seconds ELSE 0 END) AS restarted_seconds,
  count(DISTINCT l.number) AS trials
FROM ledger l
LEFT JOIN trials t ON t.study = l.study AND t.number = l.number
WHERE (cast(:study AS varchar) IS NULL OR l.study = cast(:study AS varchar))
GROUP BY l.study, l.unit
ORDER BY l.study, l.unit
