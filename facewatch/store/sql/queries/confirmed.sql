-- name: face_events_confirmed
-- The newest visits that an operator gave to somebody, with the template of one model.
SELECT coalesce(p.merged_into, p.id) AS person, vector_send(t.embedding) AS embedding
  FROM face_event e
  JOIN person p ON p.id = e.person AND p.erased_at IS NULL
  JOIN template t ON t.face = e.face
  JOIN model ON model.id = t.model AND model.name = :model
 WHERE e.org = :org AND e.person IS NOT NULL AND e.assigned_by = 'operator'
 ORDER BY e.id DESC
 LIMIT :limit;
