-- name: faces_shown
-- In the order asked for; those that are gone are left out.
SELECT f.id, f.asset, f.box_left, f.box_top, f.box_right, f.box_bottom, f.quality[5] AS score,
       f.person, f.timestamp_ms, f.updated_at, a.width, a.height,
       coalesce(f.thumbnail_key, '') AS thumbnail_key, a.key AS asset_key
  FROM unnest(:ids::uuid[]) WITH ORDINALITY AS w (id, place)
  JOIN face f ON f.id = w.id AND f.org = :org
  JOIN asset a ON a.id = f.asset
 ORDER BY w.place;

-- name: face_page
-- Newest first. A range of (org, id), not "org =": only the index that should lead has the order.
SELECT f.id FROM face f
 WHERE (f.org, f.id) >= (:org, :first::uuid) AND (f.org, f.id) < (:org, :before::uuid)
 ORDER BY f.org DESC, f.id DESC
 LIMIT :limit;

-- name: face_page_of_person
SELECT f.id FROM face f
 WHERE (f.person, f.id) >= (:person, :first::uuid) AND (f.person, f.id) < (:person, :before::uuid)
   AND f.person IS NOT NULL AND f.org = :org
 ORDER BY f.person DESC, f.id DESC
 LIMIT :limit;

-- name: face_page_of_asset
SELECT f.id FROM face f
 WHERE f.asset = :asset AND f.org = :org AND f.id < :before
   AND (:person::uuid IS NULL OR f.person = :person)
 ORDER BY f.id DESC
 LIMIT :limit;

-- name: face_page_of_ids
SELECT f.id FROM face f
 WHERE f.id = ANY(:ids::uuid[]) AND f.org = :org AND f.id < :before
   AND (:asset::uuid IS NULL OR f.asset = :asset)
   AND (:person::uuid IS NULL OR f.person = :person)
 ORDER BY f.id DESC
 LIMIT :limit;

-- name: asset_known
SELECT id FROM asset WHERE id = :asset AND org = :org;

-- name: face_known
SELECT f.id, f.event, f.person, m.face AS enrolled, m.person AS enrolled_for,
       m.revision_removed IS NULL AS live
  FROM face f
  LEFT JOIN matchmaker m ON m.face = f.id
 WHERE f.id = :face AND f.org = :org;

-- name: face_give
-- An operator says whose it is, NULL for nobody's.
UPDATE face
   SET person = :person, assigned_by = :assigned_by, assigned_at = now(), updated_at = now()
 WHERE id = :face;

-- name: matchmaker_again
-- For a worker that catches up it is new.
UPDATE matchmaker
   SET person = :person, revision_added = :revision, revision_removed = NULL, removed_at = NULL
 WHERE face = :face;

-- name: matchmaker_rest
-- Compared with nobody, but there: it can be given to somebody.
UPDATE matchmaker SET revision_removed = :revision, removed_at = now() WHERE face = :face;

-- name: face_remove
WITH removed AS (
    INSERT INTO removed_face (id, org) VALUES (:face, :org) ON CONFLICT DO NOTHING
)
DELETE FROM face WHERE id = :face RETURNING thumbnail_key, crop_key;

-- name: face_event_without
-- The visit keeps its pictures; it cannot be compared any more.
UPDATE face_event SET has_template = false, updated_at = now()
 WHERE id = :event AND face = :face;

-- name: face_distances
-- How far faces are from the middle of those of their person.
SELECT f.id AS face, c.embedding <=> t.embedding AS distance
  FROM model
  JOIN template t ON t.model = model.id AND t.face = ANY(:faces::uuid[])
  JOIN face f ON f.id = t.face AND f.org = :org
  JOIN centroid c ON c.person = f.person AND c.model = model.id
 WHERE model.name = :model;

-- name: face_candidates
-- The nearest of the others, nearest first; whoever is hidden is not suggested.
SELECT f.id AS face, near.person, near.name, near.distance
  FROM model
  JOIN template t ON t.model = model.id AND t.face = ANY(:faces::uuid[])
  JOIN face f ON f.id = t.face AND f.org = :org
 CROSS JOIN LATERAL (
       SELECT c.person, p.name, c.embedding <=> t.embedding AS distance
         FROM centroid c
         JOIN person p ON p.id = c.person AND NOT p.hidden AND p.merged_into IS NULL
                      AND p.erased_at IS NULL
        WHERE c.org = :org AND c.model = model.id AND c.person IS DISTINCT FROM f.person
        ORDER BY distance, c.person
        LIMIT :limit) AS near
 WHERE model.name = :model
 ORDER BY f.id, near.distance, near.person;

-- name: centroids_lock
-- One at a time brings an org's up to date.
SELECT pg_advisory_xact_lock(hashtextextended('centroids of ' || :org::uuid, 0));

-- name: centroids_stale
SELECT id, person FROM stale_centroid WHERE org = :org ORDER BY id LIMIT :limit;

-- name: centroids_stale_orgs
SELECT DISTINCT org FROM stale_centroid;

-- name: centroids_fresh
DELETE FROM stale_centroid WHERE id = ANY(:ids::bigint[]);

-- name: centroid_templates
-- The newest of each person.
SELECT w.id AS person, t.model, vector_send(t.embedding) AS embedding
  FROM unnest(:people::uuid[]) AS w (id)
 CROSS JOIN LATERAL (
       SELECT t.model, t.embedding
         FROM face f
         JOIN template t ON t.face = f.id
        WHERE f.person = w.id AND f.org = :org
        ORDER BY f.person DESC, f.id DESC
        LIMIT :limit) AS t;

-- name: centroids_put
INSERT INTO centroid (person, model, org, embedding, pairwise_mean, pairwise_p90)
SELECT c.person, c.model, :org, c.embedding::vector, c.mean, c.p90
  FROM unnest(:people::uuid[], :models::smallint[], :embeddings::text[], :means::real[],
              :p90s::real[]) AS c (person, model, embedding, mean, p90)
    ON CONFLICT (person, model) DO UPDATE
   SET embedding = EXCLUDED.embedding, pairwise_mean = EXCLUDED.pairwise_mean,
       pairwise_p90 = EXCLUDED.pairwise_p90;

-- name: centroids_drop
-- Of these, but those of (person, model) that were just put.
DELETE FROM centroid c
 WHERE c.person = ANY(:people::uuid[])
   AND NOT EXISTS (SELECT FROM unnest(:kept::uuid[], :models::smallint[]) AS k (person, model)
                    WHERE k.person = c.person AND k.model = c.model);

-- name: portraits
-- In the order asked for. Assets are counted among ten thousand faces, so that a page costs a bounded
-- time; the face shown is the chosen one, else an enrolled one, else the newest with a picture.
SELECT p.id, p.name, p.birth_date, p.hidden, p.favourite, p.created_at, p.updated_at,
       (SELECT count(DISTINCT shown_in.asset)
          FROM (SELECT f.asset FROM face f WHERE f.person = p.id LIMIT 10000) AS shown_in) AS assets,
       coalesce(
           (SELECT f.id FROM face f WHERE f.id = p.thumbnail_face AND f.org = p.org),
           (SELECT m.face FROM matchmaker m JOIN face f ON f.id = m.face AND f.person = p.id
             WHERE m.person = p.id AND m.revision_removed IS NULL
             ORDER BY m.face DESC LIMIT 1),
           (SELECT newest.id
              FROM (SELECT f.id, f.thumbnail_key FROM face f
                     WHERE f.person = p.id ORDER BY f.person DESC, f.id DESC LIMIT 64) AS newest
             ORDER BY newest.thumbnail_key IS NULL, newest.id DESC
             LIMIT 1)) AS thumbnail_face
  FROM unnest(:people::uuid[]) WITH ORDINALITY AS w (id, place)
  JOIN person p ON p.id = w.id AND p.org = :org
 ORDER BY w.place;

-- name: cohesions
-- How tight the faces of each lie together; whoever has no template is not there.
SELECT c.person, c.pairwise_mean, c.pairwise_p90,
       (SELECT count(*) FROM (SELECT FROM face f WHERE f.person = c.person LIMIT 10000) AS shown_in)
           AS faces
  FROM centroid c
  JOIN model ON model.id = c.model AND model.name = :model
 WHERE c.org = :org AND c.person = ANY(:people::uuid[]);

-- name: portrait_page
-- Newest first; NULL filters nothing, and a merged id stands for whom it was merged into.
SELECT p.id FROM person p
 WHERE p.org = :org AND p.merged_into IS NULL AND p.erased_at IS NULL AND p.id < :before
   AND (:named::boolean IS NULL OR (p.name IS NOT NULL) = :named)
   AND (:hidden::boolean IS NULL OR p.hidden = :hidden)
   AND (:part::text IS NULL OR strpos(lower(p.name), lower(:part)) > 0)
   AND (:ids::uuid[] IS NULL OR p.id IN (
        SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = ANY(:ids)))
   AND (:asset::uuid IS NULL OR p.id IN (SELECT f.person FROM face f WHERE f.asset = :asset))
 ORDER BY p.id DESC
 LIMIT :limit;

-- name: portrait_page_oldest
SELECT p.id FROM person p
 WHERE p.org = :org AND p.merged_into IS NULL AND p.erased_at IS NULL
   AND (:after::uuid IS NULL OR p.id > :after)
   AND (:named::boolean IS NULL OR (p.name IS NOT NULL) = :named)
   AND (:hidden::boolean IS NULL OR p.hidden = :hidden)
   AND (:part::text IS NULL OR strpos(lower(p.name), lower(:part)) > 0)
   AND (:ids::uuid[] IS NULL OR p.id IN (
        SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = ANY(:ids)))
   AND (:asset::uuid IS NULL OR p.id IN (SELECT f.person FROM face f WHERE f.asset = :asset))
 ORDER BY p.id
 LIMIT :limit;

-- name: portrait_page_by_name
-- As portrait_page, by name as people sort it; those without one come last. Whoever the page begins
-- behind keeps their place, though the filter lets them through no more.
WITH shown AS (
    SELECT p.id, row_number() OVER (
               ORDER BY p.name IS NULL,
                        CASE WHEN NOT :descending::boolean THEN plain_name(p.name) END,
                        CASE WHEN :descending THEN plain_name(p.name) END DESC,
                        p.id) AS place
      FROM person p
     WHERE p.org = :org AND p.merged_into IS NULL AND p.erased_at IS NULL
       AND (p.id = :after::uuid
            OR (:named::boolean IS NULL OR (p.name IS NOT NULL) = :named)
           AND (:hidden::boolean IS NULL OR p.hidden = :hidden)
           AND (:part::text IS NULL OR strpos(lower(p.name), lower(:part)) > 0)
           AND (:ids::uuid[] IS NULL OR p.id IN (
                SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = ANY(:ids)))
           AND (:asset::uuid IS NULL OR p.id IN (
                SELECT f.person FROM face f WHERE f.asset = :asset))))
SELECT s.id FROM shown s
 WHERE s.place > coalesce((SELECT a.place FROM shown a WHERE a.id = :after), 0)
 ORDER BY s.place
 LIMIT :limit;

-- name: portrait_page_by_assets
-- As portrait_page_by_name, by the number of pictures that the portraits show.
WITH shown AS (
    SELECT p.id, row_number() OVER (
               ORDER BY CASE WHEN :descending::boolean THEN -c.assets ELSE c.assets END, p.id)
           AS place
      FROM person p
     CROSS JOIN LATERAL (
           SELECT count(DISTINCT shown_in.asset) AS assets
             FROM (SELECT f.asset FROM face f WHERE f.person = p.id LIMIT 10000) AS shown_in) AS c
     WHERE p.org = :org AND p.merged_into IS NULL AND p.erased_at IS NULL
       AND (p.id = :after::uuid
            OR (:named::boolean IS NULL OR (p.name IS NOT NULL) = :named)
           AND (:hidden::boolean IS NULL OR p.hidden = :hidden)
           AND (:part::text IS NULL OR strpos(lower(p.name), lower(:part)) > 0)
           AND (:ids::uuid[] IS NULL OR p.id IN (
                SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = ANY(:ids)))
           AND (:asset::uuid IS NULL OR p.id IN (
                SELECT f.person FROM face f WHERE f.asset = :asset))))
SELECT s.id FROM shown s
 WHERE s.place > coalesce((SELECT a.place FROM shown a WHERE a.id = :after), 0)
 ORDER BY s.place
 LIMIT :limit;

-- name: portrait_add
INSERT INTO person (id, org, name, birth_date, hidden, favourite, thumbnail_face)
VALUES (:id, :org, :name, :birth_date, :hidden, :favourite, :thumbnail_face);

-- name: portrait_change
UPDATE person
   SET name = CASE WHEN :set_name THEN :name ELSE name END,
       birth_date = CASE WHEN :set_birth_date THEN :birth_date ELSE birth_date END,
       hidden = coalesce(:hidden::boolean, hidden),
       favourite = coalesce(:favourite::boolean, favourite),
       thumbnail_face = CASE WHEN :set_thumbnail_face THEN :thumbnail_face ELSE thumbnail_face END,
       updated_at = now()
 WHERE id = :person;

-- name: dissolve_events
-- Some of somebody's visits become nobody's, and a machine may think about them again.
WITH theirs AS (
    SELECT id FROM face_event WHERE org = :org AND person = :person
     LIMIT :limit
), freed AS (
    UPDATE face_event e
       SET person = NULL, matched_face = NULL, similarity = NULL, confidence = NULL,
           assigned_by = NULL, assigned_at = NULL, updated_at = now(),
           retention = CASE WHEN e.retention = 'known' THEN 'unknown' ELSE e.retention END
      FROM theirs
     WHERE e.id = theirs.id
    RETURNING e.id
), shown AS (
    UPDATE face f
       SET person = NULL, assigned_by = NULL, assigned_at = NULL, updated_at = now()
      FROM freed
     WHERE f.event = freed.id AND f.person = :person
)
SELECT id FROM freed;

-- name: dissolve_faces
UPDATE face SET person = NULL, assigned_by = NULL, assigned_at = NULL, updated_at = now()
 WHERE person = :person;

-- name: matchmakers_of_dissolved
SELECT face FROM matchmaker WHERE person = :person ORDER BY face FOR UPDATE;

-- name: assets_found
-- Newest capture first; NULL filters nothing. Walls are clocks where the picture was taken.
SELECT a.id FROM asset a
 WHERE a.org = :org
   AND (:after::timestamptz IS NULL OR a.captured_at > :after)
   AND (:before::timestamptz IS NULL OR a.captured_at < :before)
   AND (:after_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone > :after_wall)
   AND (:before_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone < :before_wall)
   AND (:is_clip::boolean IS NULL OR (a.kind = 'clip') = :is_clip)
 ORDER BY a.captured_at DESC, a.id DESC
 LIMIT :limit OFFSET :offset;

-- name: assets_found_of_people
-- Those in which all of them are.
SELECT a.id
  FROM (SELECT f.asset AS id FROM face f
         WHERE f.person = ANY(:people::uuid[])
         GROUP BY f.asset
        HAVING count(DISTINCT f.person) = cardinality(:people)) AS w
  JOIN asset a ON a.id = w.id
 WHERE a.org = :org
   AND (:after::timestamptz IS NULL OR a.captured_at > :after)
   AND (:before::timestamptz IS NULL OR a.captured_at < :before)
   AND (:after_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone > :after_wall)
   AND (:before_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone < :before_wall)
   AND (:is_clip::boolean IS NULL OR (a.kind = 'clip') = :is_clip)
 ORDER BY a.captured_at DESC, a.id DESC
 LIMIT :limit OFFSET :offset;

-- name: asset_captured
SELECT captured_at FROM asset WHERE id = :asset AND org = :org;

-- name: asset_page
-- Newest capture first, between two places in that order. A range of (org, captured_at, id), not
-- "org =": only the index that should lead has the order.
SELECT a.id FROM asset a
 WHERE (a.org, a.captured_at, a.id) > (:org, :from_at::timestamptz, :from_id::uuid)
   AND (a.org, a.captured_at, a.id) < (:org, :to_at::timestamptz, :to_id::uuid)
   AND (:after::timestamptz IS NULL OR a.captured_at > :after)
   AND (:before::timestamptz IS NULL OR a.captured_at < :before)
   AND (:after_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone > :after_wall)
   AND (:before_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone < :before_wall)
   AND (:is_clip::boolean IS NULL OR (a.kind = 'clip') = :is_clip)
 ORDER BY a.org DESC, a.captured_at DESC, a.id DESC
 LIMIT :limit;

-- name: asset_page_oldest
SELECT a.id FROM asset a
 WHERE (a.org, a.captured_at, a.id) > (:org, :from_at::timestamptz, :from_id::uuid)
   AND (a.org, a.captured_at, a.id) < (:org, :to_at::timestamptz, :to_id::uuid)
   AND (:after::timestamptz IS NULL OR a.captured_at > :after)
   AND (:before::timestamptz IS NULL OR a.captured_at < :before)
   AND (:after_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone > :after_wall)
   AND (:before_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone < :before_wall)
   AND (:is_clip::boolean IS NULL OR (a.kind = 'clip') = :is_clip)
 ORDER BY a.org, a.captured_at, a.id
 LIMIT :limit;

-- name: asset_page_of
-- Of these ids, of pictures in which all of these people are, or of both.
SELECT a.id FROM asset a
 WHERE a.org = :org
   AND (a.captured_at, a.id) > (:from_at::timestamptz, :from_id::uuid)
   AND (a.captured_at, a.id) < (:to_at::timestamptz, :to_id::uuid)
   AND (:ids::uuid[] IS NULL OR a.id = ANY(:ids))
   AND (:people::uuid[] IS NULL OR a.id IN (
        SELECT f.asset FROM face f
         WHERE f.person = ANY(:people)
         GROUP BY f.asset
        HAVING count(DISTINCT f.person) = cardinality(:people)))
   AND (:after::timestamptz IS NULL OR a.captured_at > :after)
   AND (:before::timestamptz IS NULL OR a.captured_at < :before)
   AND (:after_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone > :after_wall)
   AND (:before_wall::timestamp IS NULL OR a.captured_at AT TIME ZONE a.time_zone < :before_wall)
   AND (:is_clip::boolean IS NULL OR (a.kind = 'clip') = :is_clip)
 ORDER BY CASE WHEN :newest::boolean THEN a.captured_at END DESC,
          CASE WHEN :newest THEN a.id END DESC, a.captured_at, a.id
 LIMIT :limit;

-- name: assets_shown
-- In the order asked for; those that are gone are left out.
SELECT a.id, a.kind, a.camera, a.captured_at, a.time_zone, a.width, a.height, a.duration_ms,
       a.size_bytes, a.sha256, a.mime, a.file_name, a.key, a.created_at, a.updated_at,
       i.device, i.device_asset, i.file_created_at, i.file_modified_at, i.sha1, i.still_key,
       i.state, i.percent, i.said,
       ARRAY(SELECT f.id FROM face f WHERE f.asset = a.id ORDER BY f.id) AS faces
  FROM unnest(:ids::uuid[]) WITH ORDINALITY AS w (id, place)
  JOIN asset a ON a.id = w.id AND a.org = :org
  LEFT JOIN intake i ON i.asset = a.id
 ORDER BY w.place;
