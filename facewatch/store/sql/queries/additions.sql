-- name: sightings_to_add
-- Visits that an operator gave to somebody who has a name, or the machine far beyond its threshold
-- and with a margin, and that are fit to be copied; the best twenty of each person. Of the newest
-- :visits only: one index is walked, however many are unfit. What was copied already,
-- or was dismissed for whom its person is today, is left out.
WITH newest AS (
    SELECT e.id, e.face, e.person, e.camera, e.first_seen, e.assigned_by, e.quality, e.thumbnail_key,
           e.decision, e.closed, e.look_keys
      FROM face_event e
     WHERE e.org = :org AND e.id >= :since
       AND e.person IS NOT NULL AND e.erased_at IS NULL
     ORDER BY e.id DESC
     LIMIT :visits
), fit AS (
    SELECT n.*, p.id AS whose, p.name, n.assigned_by = 'operator' AS confirmed,
           row_number() OVER (PARTITION BY p.id
                              ORDER BY n.assigned_by = 'operator' DESC,
                                       overall_quality(n.quality) DESC, n.id DESC) AS place
      FROM newest n
      JOIN person q ON q.id = n.person
      JOIN person p ON p.id = coalesce(q.merged_into, q.id) AND p.name IS NOT NULL
     WHERE n.closed AND n.thumbnail_key <> ''
       AND overall_quality(n.quality) >= :quality AND coalesce(n.quality[6], 1) >= :telling
       AND (n.assigned_by = 'operator'
            OR n.assigned_by = 'matcher'
               AND (n.decision #>> '{candidates,0,similarity}')::float8
                   >= (n.decision ->> 'threshold_similarity')::float8 + :beyond
               AND coalesce((n.decision ->> 'margin')::float8 >= :margin, true))
       AND NOT EXISTS (
           SELECT FROM matchmaker m
            WHERE m.person = p.id AND m.origin_face = n.face AND m.revision_removed IS NULL)
       AND NOT EXISTS (
           SELECT FROM dismissed d
             JOIN person o ON o.id = d.other
            WHERE d.org = :org AND d.kind = 'matchmaker' AND d.one = n.id
              AND coalesce(o.merged_into, o.id) = p.id)
)
SELECT f.id, f.whose AS person, f.name, f.camera, f.first_seen, f.thumbnail_key, f.confirmed,
       f.quality, coalesce((f.decision ->> 'grey')::boolean, false) AS grey,
       coalesce(f.look_keys[1], '') AS crop_key,
       seen.landmarks, seen.box_right - seen.box_left AS width, vector_send(t.embedding) AS embedding
  FROM fit f
  JOIN face seen ON seen.id = f.face
  JOIN template t ON t.face = f.face
  JOIN model ON model.id = t.model AND model.name = :model
 WHERE f.place <= 20
 ORDER BY f.confirmed DESC, overall_quality(f.quality) DESC, f.id DESC
 LIMIT :limit;

-- name: matchmaker_views
-- How enrolled faces look; grey is known of copies of sightings only.
SELECT m.face, f.landmarks, f.quality,
       coalesce((e.decision ->> 'grey')::boolean, false) AS grey, coalesce(f.crop_key, '') AS crop_key
  FROM matchmaker m
  JOIN face f ON f.id = m.face
  LEFT JOIN face o ON o.id = m.origin_face
  LEFT JOIN face_event e ON e.id = o.event
 WHERE m.org = :org AND m.face = ANY(:faces::uuid[]);
