-- name: unclustered_add
-- Closed visits of nobody that can be compared. Behind the lock of their rows.
INSERT INTO unclustered (event, org)
SELECT e.id, e.org FROM face_event e
 WHERE e.id = ANY(:events::uuid[])
   AND e.closed AND e.person IS NULL AND e.assigned_by IS NULL AND e.has_template
    ON CONFLICT DO NOTHING;

-- name: unclustered_next
SELECT event, org FROM unclustered ORDER BY event LIMIT 1;

-- name: unclustered_done
DELETE FROM unclustered WHERE event = :event;

-- name: clusters_gate
-- One at a time decides which unknown visitors of an org are one.
SELECT pg_try_advisory_xact_lock(hashtextextended('clusters of ' || :org::uuid, 0)) AS open;

-- name: unclustered_visit
-- If it is still to be compared.
SELECT e.camera, e.quality, vector_send(t.embedding) AS embedding, t.model,
       (SELECT count(*) FROM visit_template v WHERE v.model = t.model AND v.org = e.org) AS crowd
  FROM unclustered u
  JOIN face_event e ON e.id = u.event
  JOIN template t ON t.face = e.face
  JOIN model m ON m.id = t.model AND m.name = :model
 WHERE u.event = :event AND e.closed AND e.person IS NULL AND e.assigned_by IS NULL;

-- name: no_faces_near
SELECT 1 FROM not_a_face
 WHERE org = :org AND camera = :camera AND model = :model
   AND -(embedding <#> (SELECT :probe::text::vector)) >= :least
 LIMIT 1;

-- name: unknown_near
-- Past visits of nobody, or of somebody without a name, whose halves come near; nearest first.
SELECT e.id, e.person, e.quality, vector_send(t.embedding) AS embedding
  FROM (SELECT v.event, v.face
          FROM visit_template v
         WHERE v.model = :model AND v.org = :org AND v.event <> :event
           AND v.embedding <#> (SELECT :probe::text::halfvec) <= :farthest
         ORDER BY v.embedding <#> (SELECT :probe::text::halfvec)
         LIMIT :limit) AS v
  JOIN face_event e ON e.id = v.event AND e.face = v.face
  JOIN template t ON t.face = v.face AND t.model = :model
  LEFT JOIN person p ON p.id = e.person
 WHERE e.org = :org AND e.closed AND p.name IS NULL
   AND (e.person IS NOT NULL OR e.assigned_by IS NULL);

-- name: unnamed_lock
-- Against a name, a merge or being forgotten meanwhile.
SELECT id FROM person
 WHERE org = :org AND id = ANY(:people::uuid[])
   AND name IS NULL AND merged_into IS NULL AND erased_at IS NULL
 ORDER BY id
   FOR SHARE;

-- name: unnamed_faces
-- The newest visits of each of these.
SELECT w.id AS person, vector_send(t.embedding) AS embedding
  FROM unnest(:people::uuid[]) AS w (id)
 CROSS JOIN LATERAL (
       SELECT e.face FROM face_event e
        WHERE e.person = w.id AND e.has_template
        ORDER BY e.id DESC
        LIMIT :limit) AS e
  JOIN template t ON t.face = e.face AND t.model = :model;

-- name: unnamed_denied
-- Faces of visits that are not theirs, as an operator said.
SELECT coalesce(q.merged_into, q.id) AS person, vector_send(t.embedding) AS embedding
  FROM person q
  JOIN dismissed d ON d.other = q.id AND d.kind = 'name' AND d.org = :org
  JOIN face_event e ON e.id = d.one AND e.person IS DISTINCT FROM coalesce(q.merged_into, q.id)
  JOIN template t ON t.face = e.face AND t.model = :model
 WHERE coalesce(q.merged_into, q.id) = ANY(:people::uuid[])
 ORDER BY d.at DESC
 LIMIT :limit;

-- name: clusters_lock
-- Those that are still nobody's.
SELECT id FROM face_event
 WHERE org = :org AND id = ANY(:events::uuid[])
   AND closed AND person IS NULL AND assigned_by IS NULL AND has_template
 ORDER BY id
   FOR UPDATE;

-- name: clusters_assign
UPDATE face_event
   SET person = :person, assigned_by = 'cluster', assigned_at = now(), updated_at = now()
 WHERE id = ANY(:events::uuid[]);

-- name: clusters_faces_assign
UPDATE face
   SET person = :person, assigned_by = 'cluster', assigned_at = now(), updated_at = now()
 WHERE event = ANY(:events::uuid[]) AND assigned_by IS DISTINCT FROM 'operator';

-- name: unnamed_of_event
-- The unnamed person whose visit this is.
SELECT p.id FROM face_event e
  JOIN person p ON p.id = e.person AND p.name IS NULL AND p.merged_into IS NULL
               AND p.erased_at IS NULL
 WHERE e.org = :org AND e.id = :event
   FOR UPDATE OF p;

-- name: unnamed_called
UPDATE person SET name = :name, updated_at = now() WHERE id = :person
RETURNING id, name, true AS made;
