-- Devices with what was measured on them, by metric and method.
SELECT d.fingerprint AS device, d.name, m.metric, m.method, count(m.value) AS count,
  min(m.value) AS lowest, avg(m.value) AS mean, max(m.value) AS highest
FROM device d
LEFT JOIN measurements m ON m.device = d.fingerprint
GROUP BY d.fingerprint, d.name, m.metric, m.method
ORDER BY d.name, d.fingerprint, m.metric, m.method
