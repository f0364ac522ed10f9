-- Failed trials by study and class: how many, what they cost, the last message.
-- :study text = null -- only this study
WITH failed AS (
  SELECT study, failure, count(*) AS trials, sum(device_seconds) AS device_seconds,
    max(number) AS last_number
  FROM trials
  WHERE state = 'failed'
    AND (cast(:study AS varchar) IS NULL OR study = cast(:study AS varchar))
  GROUP BY study, failure
)
SELECT f.study, f.failure, f.trials, f.device_seconds, f.last_number, t.message AS last_message
FROM failed f
JOIN trials t ON t.study = f.study AND t.number = f.last_number
ORDER BY f.trials DESC, f.study, f.failure
