-- The ancestors of a trial: what it was made from, what those were made from, and so on.
-- :study text -- the study
-- :number integer -- the trial
WITH RECURSIVE line(number, steps) AS (
  SELECT cast(:number AS integer), 0
  UNION
  SELECT p.parent, l.steps + 1
  FROM line l JOIN parents p ON p.number = l.number AND p.study = cast(:study AS varchar)
)
SELECT min(l.steps) AS steps, t.number, t.digest, t.state, t.proposed_by, t.fidelity, t.params
FROM line l
JOIN trials t ON t.number = l.number AND t.study = cast(:study AS varchar)
GROUP BY t.number, t.digest, t.state, t.proposed_by, t.fidelity, t.params
ORDER BY steps, t.number
