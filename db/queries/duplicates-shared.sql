-- Trials that took over the result of another one instead of training again, and the time that saved.
-- :study text = null -- only this study
SELECT t.study, t.number, t.digest, t.shared_study, t.shared_number, t.fidelity,
  o.device_seconds AS saved_seconds
FROM trials t
JOIN trials o ON o.study = t.shared_study AND o.number = t.shared_number
WHERE (cast(:study AS varchar) IS NULL OR t.study = cast(:study AS varchar))
ORDER BY t.study, t.number
