-- name: face_events_confirmed
-- The newest visits that an operator gave to somebody, with the template of one model.
SELECT coalesce(p.merged_into, p.id) AS person, vector_send(t.embedding) AS embedding,
       coalesce((e.decision ->> 'grey')::boolean, false) AS grey
  FROM face_event e
  JOIN person p ON p.id = e.person AND p.erased_at IS NULL
  JOIN template t ON t.face = e.face
  JOIN model ON model.id = t.model AND model.name = :model
 WHERE e.org = :org AND e.person IS NOT NULL AND e.assigned_by = 'operator'
 ORDER BY e.id DESC
 LIMIT :limit;

-- name: denials_of_assign
-- Whoever the visits show is not who they are of, unless it is :person. Somebody without a name was
-- shown to nobody: only who takes visits away from them says so of them.
INSERT INTO dismissed (org, kind, one, other)
SELECT e.org, 'name', e.id, e.person
  FROM face_event e
  JOIN person p ON p.id = e.person
 WHERE e.id = ANY(:events::uuid[]) AND e.person IS DISTINCT FROM :person
   AND (p.name IS NOT NULL OR :unnamed)
    ON CONFLICT DO NOTHING
RETURNING one;

-- name: denials_taken_back
DELETE FROM dismissed d
 USING person q
 WHERE d.kind = 'name' AND d.one = ANY(:events::uuid[]) AND q.id = d.other
   AND coalesce(q.merged_into, q.id) = :person
RETURNING d.one;

-- name: refusals
-- The newest of each kind. Blurred faces are alike: of these nothing follows. Of two who were merged
-- what was said of the one about the other is void.
(SELECT coalesce(q.merged_into, q.id) AS person, NULL::uuid AS camera,
        vector_send(t.embedding) AS embedding
   FROM dismissed d
   JOIN person q ON q.id = d.other
   JOIN face_event e ON e.id = d.one AND e.org = d.org
                    AND e.person IS DISTINCT FROM coalesce(q.merged_into, q.id)
   JOIN template t ON t.face = e.face
   JOIN model m ON m.id = t.model AND m.name = :model
  WHERE d.org = :org AND d.kind = 'name' AND overall_quality(e.quality) >= 0.3
  ORDER BY d.at DESC
  LIMIT :limit)
 UNION ALL
(SELECT NULL, n.camera, vector_send(n.embedding)
   FROM not_a_face n
   JOIN model m ON m.id = n.model AND m.name = :model
  WHERE n.org = :org
  ORDER BY n.at DESC
  LIMIT :limit);

-- name: not_a_face_add
INSERT INTO not_a_face (event, model, org, camera, embedding)
SELECT e.id, t.model, e.org, e.camera, t.embedding
  FROM face_event e
  JOIN template t ON t.face = e.face
 WHERE e.id = :event
    ON CONFLICT DO NOTHING
RETURNING event;

-- name: not_a_face_known
SELECT 1 FROM not_a_face WHERE org = :org AND event = :event LIMIT 1;

-- name: not_a_face_delete
DELETE FROM not_a_face WHERE org = :org AND event = :event RETURNING event;

-- name: shown_by
SELECT person FROM face_event WHERE id = :event;

-- name: matchmaker_notes
-- Corrected: visits that the machine named by this face, and an operator said are not theirs.
SELECT m.face, f.quality, coalesce(c.corrected, 0) AS corrected
  FROM matchmaker m
  JOIN face f ON f.id = m.face
  LEFT JOIN (
       SELECT (e.decision #>> '{candidates,0,face}')::uuid AS face, count(*) AS corrected
         FROM dismissed d
         JOIN face_event e ON e.id = d.one
        WHERE d.org = :org AND d.kind = 'name' AND e.decision ->> 'person' IS NOT NULL
          AND (e.decision ->> 'person')::uuid IS DISTINCT FROM e.person
        GROUP BY 1) AS c ON c.face = m.face
 WHERE m.org = :org AND m.revision_removed IS NULL;
