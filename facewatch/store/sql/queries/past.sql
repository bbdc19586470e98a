-- name: past_visits
-- Newest first, with the template of one model. Names and merges are those of today; what was
-- erased is left out. As face_events_found: the range of ids of whole months chooses partitions.
SELECT e.id, e.face, e.camera, e.first_seen, e.assigned_by, p.id AS person, p.name, e.closed,
       e.has_template, e.quality, (e.decision -> 'quality')::text AS compared_quality,
       coalesce((e.decision ->> 'grey')::boolean, false) AS grey, c.match_threshold, e.look_keys,
       (SELECT vector_send(t.embedding) FROM template t
         WHERE t.face = e.face AND t.model = :model::smallint) AS embedding
  FROM face_event e
  LEFT JOIN person q ON q.id = e.person
  LEFT JOIN person p ON p.id = coalesce(q.merged_into, q.id) AND p.erased_at IS NULL
  LEFT JOIN camera c ON c.id = e.camera
 WHERE (e.org, e.id) >= (:org, :since) AND (e.org, e.id) < (:org, :before)
   AND e.id >= :months_from AND e.id < :months_to
   AND e.erased_at IS NULL
 ORDER BY e.org DESC, e.id DESC
 LIMIT :limit;

-- name: past_visits_of_camera
-- As past_visits, led by the camera.
SELECT e.id, e.face, e.camera, e.first_seen, e.assigned_by, p.id AS person, p.name, e.closed,
       e.has_template, e.quality, (e.decision -> 'quality')::text AS compared_quality,
       coalesce((e.decision ->> 'grey')::boolean, false) AS grey, c.match_threshold, e.look_keys,
       (SELECT vector_send(t.embedding) FROM template t
         WHERE t.face = e.face AND t.model = :model::smallint) AS embedding
  FROM face_event e
  LEFT JOIN person q ON q.id = e.person
  LEFT JOIN person p ON p.id = coalesce(q.merged_into, q.id) AND p.erased_at IS NULL
  LEFT JOIN camera c ON c.id = e.camera
 WHERE (e.camera, e.id) >= (:camera, :since) AND (e.camera, e.id) < (:camera, :before)
   AND e.id >= :months_from AND e.id < :months_to
   AND e.org = :org AND e.erased_at IS NULL
 ORDER BY e.camera DESC, e.id DESC
 LIMIT :limit;

-- name: past_matchmakers
-- By id, with the template of one model.
SELECT m.face, m.person, f.crop_key,
       (SELECT vector_send(t.embedding) FROM template t
         WHERE t.face = m.face AND t.model = :model::smallint) AS embedding
  FROM matchmaker m
  JOIN face f ON f.id = m.face
 WHERE m.org = :org AND m.revision_removed IS NULL
   AND (:after::uuid IS NULL OR m.face > :after)
 ORDER BY m.face
 LIMIT :limit;
