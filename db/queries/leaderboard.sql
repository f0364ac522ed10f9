-- The best architectures by one metric, best first; all tasks and studies unless told.
-- :metric text = accuracy -- the metric that ranks
-- :direction text = max -- max: higher is better; min: lower is better
-- :task text = null -- only this task
-- :study text = null -- only this study
SELECT
  rank() OVER (
    ORDER BY CASE WHEN cast(:direction AS varchar) = 'min' THEN m.value ELSE -m.value END
  ) AS place,
  m.digest, m.value, m.study, m.number, m.task, m.space, m.fidelity,
  t.params, t.macs, t.proposed_by, t.device_seconds
FROM metrics m
JOIN trials t ON t.study = m.study AND t.number = m.number
WHERE m.metric = cast(:metric AS varchar)
  AND m.value IS NOT NULL
  AND m.state = 'complete'
  AND (cast(:task AS varchar) IS NULL OR m.task = cast(:task AS varchar))
  AND (cast(:study AS varchar) IS NULL OR m.study = cast(:study AS varchar))
ORDER BY place, m.study, m.number
