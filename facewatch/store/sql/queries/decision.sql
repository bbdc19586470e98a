-- name: decision_of_event
-- A face's own look where it was kept, else its thumbnail; '' once its pixels were erased.
SELECT e.decision::text AS decision, e.assigned_at, e.erased_at,
       coalesce(e.look_keys[1], e.thumbnail_key) AS picture_key
  FROM face_event e
 WHERE e.org = :org AND e.id = :event;

-- name: candidates_today
-- In the order of *people* and *faces*, which belong together. Of somebody who was merged the
-- name is that of whom they stand for.
SELECT q.erased_at, coalesce(q.merged_into, q.id) AS stands_for, s.name, m.removed_at,
       coalesce(f.crop_key, f.thumbnail_key) AS picture_key
  FROM unnest(:people::uuid[], :faces::uuid[]) WITH ORDINALITY AS c (person, face, place)
  LEFT JOIN person q ON q.id = c.person AND q.org = :org
  LEFT JOIN person s ON s.id = coalesce(q.merged_into, q.id)
  LEFT JOIN matchmaker m ON m.face = c.face AND m.org = :org
  LEFT JOIN face f ON f.id = c.face AND f.org = :org
 ORDER BY c.place;
