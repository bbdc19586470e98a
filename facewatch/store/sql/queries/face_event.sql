-- name: events_prepare
-- There are months for *moments* behind it; the id of each model.
SELECT NULL AS name, NULL::smallint AS model
  FROM unnest(:moments::timestamptz[]) AS t (moment), make_month(t.moment)
 UNION ALL
SELECT m.name, register_model(m.name, m.dimensions)
  FROM unnest(:names::text[], :dimensions::int[]) AS m (name, dimensions);

-- name: event_cameras
SELECT c.id, c.org, l.time_zone, sub_locations(c.sub_location) AS place
  FROM camera c
  JOIN location l ON l.id = c.location
 WHERE c.id = ANY(:cameras::uuid[]);

-- name: brought_there
-- Locked so that nobody deletes it between here and the write.
SELECT a.id, a.org, a.key FROM asset a
 WHERE a.id = ANY(:assets::uuid[])
 ORDER BY a.id
   FOR KEY SHARE;

-- name: brought_faces_superseded
-- Of earlier versions, in a picture or clip that stays.
DELETE FROM face WHERE id = ANY(:faces::uuid[]) AND asset = ANY(:assets::uuid[]);

-- name: event_people
-- Locked so that nobody is forgotten or merged between here and the write.
SELECT p.id, coalesce(p.merged_into, p.id) AS stands_for, p.org, p.erased_at IS NOT NULL AS erased
  FROM person p
 WHERE p.id = ANY(:people::uuid[])
 ORDER BY p.id
   FOR KEY SHARE;

-- name: events_lock
SELECT id, version, gallery_revision, face, asset, frame_key, thumbnail_key, look_keys,
       erased_at IS NOT NULL AS erased
  FROM face_event
 WHERE id = ANY(:ids::uuid[])
 ORDER BY id
   FOR UPDATE;

-- name: events_removed
SELECT id FROM removed_event WHERE id = ANY(:ids::uuid[]);

-- name: events_put
-- The higher (version, gallery revision) wins; what an operator said stands.
INSERT INTO face_event AS e (
    id, version, closed, org, location, place, camera, first_seen, last_seen, best_at, time_source,
    looks, tracks, face, asset, has_template, quality, frame_key, thumbnail_key, look_keys,
    person, matched_face, similarity, confidence, assigned_by, assigned_at,
    decision, gallery_revision, retention, erased_at)
SELECT r.id, r.version, r.closed, r.org, r.location, r.place, r.camera, r.first_seen, r.last_seen,
       r.best_at, r.time_source, r.looks, r.tracks, r.face, r.asset, r.has_template, r.quality,
       r.frame_key, r.thumbnail_key, r.look_keys,
       r.person, r.matched_face, r.similarity, r.confidence,
       CASE WHEN r.person IS NOT NULL THEN 'matcher' END,
       CASE WHEN r.person IS NOT NULL THEN now() END,
       r.decision, r.gallery_revision,
       CASE WHEN r.person IS NOT NULL THEN 'known' ELSE 'unknown' END,
       CASE WHEN r.erased THEN now() END
  FROM jsonb_to_recordset(:events::text::jsonb) AS r (
       id uuid, version int, closed boolean, org uuid, location uuid, place uuid[], camera uuid,
       first_seen timestamptz, last_seen timestamptz, best_at timestamptz, time_source text,
       looks int, tracks int, face uuid, asset uuid, has_template boolean, quality real[],
       frame_key text, thumbnail_key text, look_keys text[],
       person uuid, matched_face uuid, similarity real, confidence real,
       decision jsonb, gallery_revision bigint, erased boolean)
 ORDER BY r.id
    ON CONFLICT (id) DO UPDATE
   SET version = EXCLUDED.version, closed = EXCLUDED.closed, first_seen = EXCLUDED.first_seen,
       last_seen = EXCLUDED.last_seen, best_at = EXCLUDED.best_at, looks = EXCLUDED.looks,
       tracks = EXCLUDED.tracks, face = EXCLUDED.face, asset = EXCLUDED.asset,
       has_template = EXCLUDED.has_template, quality = EXCLUDED.quality,
       frame_key = EXCLUDED.frame_key, thumbnail_key = EXCLUDED.thumbnail_key,
       look_keys = EXCLUDED.look_keys, decision = EXCLUDED.decision,
       gallery_revision = EXCLUDED.gallery_revision,
       erased_at = coalesce(e.erased_at, EXCLUDED.erased_at), updated_at = now(),
       person = CASE WHEN e.assigned_by = 'operator' THEN e.person ELSE EXCLUDED.person END,
       matched_face = CASE WHEN e.assigned_by = 'operator' THEN e.matched_face ELSE EXCLUDED.matched_face END,
       similarity = CASE WHEN e.assigned_by = 'operator' THEN e.similarity ELSE EXCLUDED.similarity END,
       confidence = CASE WHEN e.assigned_by = 'operator' THEN e.confidence ELSE EXCLUDED.confidence END,
       assigned_at = CASE WHEN e.assigned_by = 'operator'
                            OR EXCLUDED.person IS NOT DISTINCT FROM e.person THEN e.assigned_at
                          ELSE EXCLUDED.assigned_at END,
       assigned_by = CASE WHEN e.assigned_by = 'operator' THEN e.assigned_by
                          ELSE EXCLUDED.assigned_by END,
       retention = CASE WHEN e.retention IN ('alerted', 'legal_hold') THEN e.retention
                        WHEN e.assigned_by = 'operator' THEN e.retention
                        ELSE EXCLUDED.retention END
 WHERE (EXCLUDED.version, EXCLUDED.gallery_revision) > (e.version, e.gallery_revision)
RETURNING id, org;

-- name: superseded_assets_delete
-- Snapshots that no event shows any more; their faces and templates go with them.
DELETE FROM asset a
 WHERE a.id = ANY(:assets::uuid[]) AND a.kind = 'snapshot'
   AND NOT EXISTS (SELECT FROM face_event e WHERE e.asset = a.id)
RETURNING key;

-- name: asset_keys
SELECT key FROM asset WHERE id = ANY(:assets::uuid[]);

-- name: templates_delete
DELETE FROM template WHERE face = ANY(:faces::uuid[]);

-- name: snapshots_put
INSERT INTO asset (id, org, kind, camera, captured_at, time_zone, width, height, size_bytes, sha256,
                   mime, file_name, key)
SELECT s.id, s.org, 'snapshot', s.camera, s.captured_at, s.time_zone, s.width, s.height,
       s.size_bytes, s.sha256, 'image/jpeg', s.file_name, s.key
  FROM unnest(:ids::uuid[], :orgs::uuid[], :cameras::uuid[], :captured::timestamptz[],
              :time_zones::text[], :widths::int[], :heights::int[], :sizes::bigint[],
              :digests::bytea[], :file_names::text[], :keys::text[])
       AS s (id, org, camera, captured_at, time_zone, width, height, size_bytes, sha256,
             file_name, key)
 WHERE NOT EXISTS (SELECT FROM removed_asset x WHERE x.id = s.id)
    ON CONFLICT (id) DO NOTHING;

-- name: faces_put
-- A snapshot can be kept for two visits: whichever comes later adds what it knows. What somebody
-- deleted stays so. In one order, or two writers of one snapshot could hold each other up.
INSERT INTO face AS f (id, org, asset, box_left, box_top, box_right, box_bottom, landmarks, quality,
                       event, thumbnail_key, timestamp_ms)
SELECT r.id, r.org, r.asset, r.box_left, r.box_top, r.box_right, r.box_bottom, r.landmarks,
       r.quality, r.event, r.thumbnail_key, r.timestamp_ms
  FROM jsonb_to_recordset(:faces::text::jsonb) AS r (
       id uuid, org uuid, asset uuid, box_left int, box_top int, box_right int, box_bottom int,
       landmarks real[], quality real[], event uuid, thumbnail_key text, timestamp_ms int)
 WHERE NOT EXISTS (SELECT FROM removed_face x WHERE x.id = r.id)
 ORDER BY r.id
    ON CONFLICT (id) DO UPDATE
   SET event = coalesce(EXCLUDED.event, f.event),
       thumbnail_key = coalesce(EXCLUDED.thumbnail_key, f.thumbnail_key),
       updated_at = now()
 WHERE (coalesce(EXCLUDED.event, f.event), coalesce(EXCLUDED.thumbnail_key, f.thumbnail_key))
       IS DISTINCT FROM (f.event, f.thumbnail_key);

-- name: faces_follow
-- Every face of a visit is whose the visit is, in whichever snapshot it stands.
UPDATE face f
   SET person = e.person, assigned_by = e.assigned_by, assigned_at = e.assigned_at,
       updated_at = now()
  FROM face_event e
 WHERE e.id = f.event
   AND f.id IN (SELECT id FROM face WHERE event = ANY(:events::uuid[])
                UNION
                SELECT id FROM face WHERE asset = ANY(:assets::uuid[]))
   AND f.assigned_by IS DISTINCT FROM 'operator'
   AND (f.person, f.assigned_by) IS DISTINCT FROM (e.person, e.assigned_by);

-- name: templates_put
WITH put AS (
    INSERT INTO template (face, model, org, embedding)
    SELECT t.face, t.model, t.org, t.embedding::vector
      FROM unnest(:faces::uuid[], :models::smallint[], :orgs::uuid[], :embeddings::text[])
           AS t (face, model, org, embedding)
      JOIN face f ON f.id = t.face
        ON CONFLICT (face, model) DO UPDATE SET embedding = EXCLUDED.embedding
    RETURNING face, model, org, embedding)
INSERT INTO visit_template (face, model, org, event, embedding)
SELECT p.face, p.model, p.org, f.event, p.embedding::halfvec
  FROM put p
  JOIN face f ON f.id = p.face AND f.event IS NOT NULL
    ON CONFLICT (face, model) DO UPDATE SET embedding = EXCLUDED.embedding;

-- name: face_events
-- Names are joined when read: renaming shows in the past, and the erased have none. The ids
-- come newest first: the first and the last of them choose the months, which a list as such does not
-- once the plan is kept. An array of candidates, not IN: Postgres expects a hundred and would read
-- all people for each event. NULL where there is no candidate.
SELECT e.id, e.version, e.closed, e.org, e.location, e.camera, e.place, e.first_seen, e.last_seen,
       e.best_at, e.has_template, e.quality, e.frame_key, e.thumbnail_key, e.person,
       e.matched_face, e.similarity, e.confidence, e.assigned_by,
       p.name AS person_name,
       nullif(e.decision -> 'candidates', '[]')::text AS candidates,
       (SELECT jsonb_object_agg(q.id, jsonb_build_array(coalesce(q.merged_into, q.id), s.name))
          FROM person q
          JOIN person s ON s.id = coalesce(q.merged_into, q.id)
         WHERE q.id = ANY(ARRAY(SELECT (c ->> 'person')::uuid
                                  FROM jsonb_array_elements(e.decision -> 'candidates') AS c)))::text
           AS candidate_names
  FROM face_event e
  LEFT JOIN person p ON p.id = e.person
 WHERE e.org = :org AND e.id = ANY(:ids::uuid[])
   AND e.id <= (:ids)[1] AND e.id >= (:ids)[cardinality(:ids)]
 ORDER BY e.id DESC;

-- name: face_event
-- As face_events; for a list of ids Postgres plans anew each time, which takes longer than this.
-- Names are looked up one by one: for few, a join costs more to begin than to do.
SELECT e.id, e.version, e.closed, e.org, e.location, e.camera, e.place, e.first_seen, e.last_seen,
       e.best_at, e.has_template, e.quality, e.frame_key, e.thumbnail_key, e.person,
       e.matched_face, e.similarity, e.confidence, e.assigned_by,
       p.name AS person_name,
       nullif(e.decision -> 'candidates', '[]')::text AS candidates,
       (SELECT jsonb_object_agg(q.id, jsonb_build_array(
                   coalesce(q.merged_into, q.id),
                   (SELECT s.name FROM person s WHERE s.id = coalesce(q.merged_into, q.id))))
          FROM person q
         WHERE q.id = ANY(ARRAY(SELECT (c ->> 'person')::uuid
                                  FROM jsonb_array_elements(e.decision -> 'candidates') AS c)))::text
           AS candidate_names
  FROM face_event e
  LEFT JOIN person p ON p.id = e.person
 WHERE e.org = :org AND e.id = :id;

-- name: face_event_page
SELECT id FROM face_event
 WHERE org = :org AND (:before::uuid IS NULL OR id < :before)
 ORDER BY id DESC
 LIMIT :limit;

-- name: face_event_page_of_camera
SELECT id FROM face_event
 WHERE camera = :camera AND org = :org AND (:before::uuid IS NULL OR id < :before)
 ORDER BY id DESC
 LIMIT :limit;

-- name: face_event_page_of_person
SELECT id FROM face_event
 WHERE person = :person AND org = :org AND (:before::uuid IS NULL OR id < :before)
 ORDER BY id DESC
 LIMIT :limit;

-- name: face_events_found
-- Newest first, from *since* to just before *before*; NULL filters nothing. There is a statement for
-- each index that can lead, because Postgres plans for any values, not for these. Each asks for a
-- range of (org, id) and the like, not for "org =", because then only the index that should lead has
-- the order: Postgres would walk all events where it takes an org for the only one, or a person for
-- the average one. The bare range of ids, of whole months, chooses the partitions and nothing else.
SELECT e.id FROM face_event e
 WHERE (e.org, e.id) >= (:org, :since) AND (e.org, e.id) < (:org, :before)
   AND e.id >= :months_from AND e.id < :months_to
   AND (:cameras::uuid[] IS NULL OR e.camera = ANY(:cameras))
   AND (:locations::uuid[] IS NULL OR e.location = ANY(:locations) OR e.place && :locations)
   AND (:people::uuid[] IS NULL OR e.person = ANY(:people))
   AND (:has_template::boolean IS NULL OR e.has_template = :has_template)
   AND (:has_name::boolean IS NULL OR :has_name = coalesce(
        (SELECT p.name IS NOT NULL FROM person p WHERE p.id = e.person), false))
 ORDER BY e.org DESC, e.id DESC
 LIMIT :limit;

-- name: face_events_found_named
SELECT e.id FROM face_event e
 WHERE (e.org, e.id) >= (:org, :since) AND (e.org, e.id) < (:org, :before)
   AND e.id >= :months_from AND e.id < :months_to
   AND e.person IS NOT NULL
   AND (:cameras::uuid[] IS NULL OR e.camera = ANY(:cameras))
   AND (:locations::uuid[] IS NULL OR e.location = ANY(:locations) OR e.place && :locations)
   AND (:people::uuid[] IS NULL OR e.person = ANY(:people))
   AND (:has_template::boolean IS NULL OR e.has_template = :has_template)
   AND (:has_name::boolean IS NULL OR :has_name = coalesce(
        (SELECT p.name IS NOT NULL FROM person p WHERE p.id = e.person), false))
 ORDER BY e.org DESC, e.id DESC
 LIMIT :limit;

-- name: face_events_found_unembedded
SELECT e.id FROM face_event e
 WHERE (e.org, e.id) >= (:org, :since) AND (e.org, e.id) < (:org, :before)
   AND e.id >= :months_from AND e.id < :months_to
   AND NOT e.has_template
   AND (:cameras::uuid[] IS NULL OR e.camera = ANY(:cameras))
   AND (:locations::uuid[] IS NULL OR e.location = ANY(:locations) OR e.place && :locations)
   AND (:people::uuid[] IS NULL OR e.person = ANY(:people))
   AND (:has_template::boolean IS NULL OR e.has_template = :has_template)
   AND (:has_name::boolean IS NULL OR :has_name = coalesce(
        (SELECT p.name IS NOT NULL FROM person p WHERE p.id = e.person), false))
 ORDER BY e.org DESC, e.id DESC
 LIMIT :limit;

-- name: face_events_found_of_people
-- The newest of each person, merged: a rare one is found at once. What a person, camera or location
-- of the org leads to is of the org.
SELECT found.id
  FROM person w
 CROSS JOIN LATERAL (
       SELECT e.id FROM face_event e
        WHERE (e.person, e.id) >= (w.id, :since) AND (e.person, e.id) < (w.id, :before)
          AND e.id >= :months_from AND e.id < :months_to
          AND e.person IS NOT NULL
          AND (:cameras::uuid[] IS NULL OR e.camera = ANY(:cameras))
          AND (:locations::uuid[] IS NULL OR e.location = ANY(:locations) OR e.place && :locations)
          AND (:has_template::boolean IS NULL OR e.has_template = :has_template)
          AND (:has_name::boolean IS NULL OR :has_name = coalesce(
               (SELECT p.name IS NOT NULL FROM person p WHERE p.id = e.person), false))
        ORDER BY e.person DESC, e.id DESC
        LIMIT :limit) AS found
 WHERE w.org = :org AND w.id = ANY(:people::uuid[])
 ORDER BY found.id DESC
 LIMIT :limit;

-- name: face_events_found_of_cameras
SELECT found.id
  FROM camera w
 CROSS JOIN LATERAL (
       SELECT e.id FROM face_event e
        WHERE (e.camera, e.id) >= (w.id, :since) AND (e.camera, e.id) < (w.id, :before)
          AND e.id >= :months_from AND e.id < :months_to
          AND (:locations::uuid[] IS NULL OR e.location = ANY(:locations) OR e.place && :locations)
          AND (:people::uuid[] IS NULL OR e.person = ANY(:people))
          AND (:has_template::boolean IS NULL OR e.has_template = :has_template)
          AND (:has_name::boolean IS NULL OR :has_name = coalesce(
               (SELECT p.name IS NOT NULL FROM person p WHERE p.id = e.person), false))
        ORDER BY e.camera DESC, e.id DESC
        LIMIT :limit) AS found
 WHERE w.org = :org AND w.id = ANY(:cameras::uuid[])
 ORDER BY found.id DESC
 LIMIT :limit;

-- name: face_events_found_of_locations
SELECT found.id
  FROM location w
 CROSS JOIN LATERAL (
       SELECT e.id FROM face_event e
        WHERE (e.location, e.id) >= (w.id, :since) AND (e.location, e.id) < (w.id, :before)
          AND e.id >= :months_from AND e.id < :months_to
          AND (:cameras::uuid[] IS NULL OR e.camera = ANY(:cameras))
          AND (:locations::uuid[] IS NULL OR e.location = ANY(:locations) OR e.place && :locations)
          AND (:people::uuid[] IS NULL OR e.person = ANY(:people))
          AND (:has_template::boolean IS NULL OR e.has_template = :has_template)
          AND (:has_name::boolean IS NULL OR :has_name = coalesce(
               (SELECT p.name IS NOT NULL FROM person p WHERE p.id = e.person), false))
        ORDER BY e.location DESC, e.id DESC
        LIMIT :limit) AS found
 WHERE w.org = :org AND w.id IN (SELECT outermost(l) FROM unnest(:locations::uuid[]) AS l)
 ORDER BY found.id DESC
 LIMIT :limit;

-- name: face_events_found_of_people_at_cameras
-- The newest of each of the people at each of the cameras, merged.
SELECT found.id
  FROM person w
 CROSS JOIN camera t
 CROSS JOIN LATERAL (
       SELECT e.id FROM face_event e
        WHERE e.camera = t.id
          AND (e.person, e.id) >= (w.id, :since) AND (e.person, e.id) < (w.id, :before)
          AND e.id >= :months_from AND e.id < :months_to
          AND e.person IS NOT NULL
          AND (:locations::uuid[] IS NULL OR e.location = ANY(:locations) OR e.place && :locations)
          AND (:has_template::boolean IS NULL OR e.has_template = :has_template)
          AND (:has_name::boolean IS NULL OR :has_name = coalesce(
               (SELECT p.name IS NOT NULL FROM person p WHERE p.id = e.person), false))
        ORDER BY e.person DESC, e.id DESC
        LIMIT :limit) AS found
 WHERE w.org = :org AND w.id = ANY(:people::uuid[])
   AND t.org = :org AND t.id = ANY(:cameras::uuid[])
 ORDER BY found.id DESC
 LIMIT :limit;

-- name: face_events_found_of_people_in_locations
SELECT found.id
  FROM person w
 CROSS JOIN location t
 CROSS JOIN LATERAL (
       SELECT e.id FROM face_event e
        WHERE e.location = t.id
          AND (e.person, e.id) >= (w.id, :since) AND (e.person, e.id) < (w.id, :before)
          AND e.id >= :months_from AND e.id < :months_to
          AND e.person IS NOT NULL
          AND (:cameras::uuid[] IS NULL OR e.camera = ANY(:cameras))
          AND (:has_template::boolean IS NULL OR e.has_template = :has_template)
          AND (:has_name::boolean IS NULL OR :has_name = coalesce(
               (SELECT p.name IS NOT NULL FROM person p WHERE p.id = e.person), false))
        ORDER BY e.person DESC, e.id DESC
        LIMIT :limit) AS found
 WHERE w.org = :org AND w.id = ANY(:people::uuid[])
   AND t.org = :org AND t.id IN (SELECT outermost(l) FROM unnest(:locations::uuid[]) AS l)
 ORDER BY found.id DESC
 LIMIT :limit;

-- name: face_event_lock
SELECT asset, frame_key, thumbnail_key, look_keys
  FROM face_event
 WHERE id = :event AND org = :org
   FOR UPDATE;

-- name: face_event_resembles
-- Whether the person, or somebody who was merged into them, is among the candidates.
SELECT 1
  FROM face_event e, jsonb_array_elements(e.decision -> 'candidates') AS c
  JOIN person q ON q.id = (c ->> 'person')::uuid
 WHERE e.id = :event AND coalesce(q.merged_into, q.id) = :person
 LIMIT 1;

-- name: face_events_assign
-- An operator says whose visits they are, NULL for nobody's; the match is theirs if they resemble
-- it: by a face that is theirs today, or was when they were compared.
UPDATE face_event e
   SET person = :person, assigned_by = 'operator', assigned_at = now(), updated_at = now(),
       (matched_face, similarity, confidence) = (
           SELECT (c ->> 'face')::uuid, (c ->> 'similarity')::real, (c ->> 'confidence')::real
             FROM jsonb_array_elements(e.decision -> 'candidates') WITH ORDINALITY AS a (c, place)
             JOIN person q ON q.id = (c ->> 'person')::uuid
             LEFT JOIN matchmaker m ON m.face = (c ->> 'face')::uuid
                                   AND m.revision_removed IS NULL
            WHERE coalesce(m.person, q.merged_into, q.id) = :person
            ORDER BY a.place
            LIMIT 1),
       retention = CASE WHEN e.retention IN ('alerted', 'legal_hold') THEN e.retention
                        WHEN :person::uuid IS NOT NULL THEN 'known'
                        ELSE 'unknown' END
 WHERE e.id = ANY(:events::uuid[]);

-- name: face_events_faces_assign
UPDATE face
   SET person = :person, assigned_by = 'operator', assigned_at = now(), updated_at = now()
 WHERE event = ANY(:events::uuid[]);

-- name: face_event_remove
WITH removed AS (
    INSERT INTO removed_event (id, org) VALUES (:event, :org) ON CONFLICT DO NOTHING
)
DELETE FROM face_event WHERE id = :event;

-- name: brought_faces_erase
-- Of a deleted visit that was found in what somebody brought.
DELETE FROM face f
 WHERE f.event = :event AND EXISTS (SELECT FROM intake i WHERE i.asset = f.asset);

-- name: face_event_faces_detach
-- What is left of a deleted visit in pictures that others show: faces that are nobody's.
UPDATE face
   SET event = NULL, person = NULL, assigned_by = NULL, assigned_at = NULL, thumbnail_key = NULL,
       crop_key = NULL, updated_at = now()
 WHERE event = :event
RETURNING id;

-- name: frame_keys
-- Of a snapshot that is still shown.
SELECT key FROM asset WHERE id = :asset
 UNION
SELECT frame_key FROM face_event WHERE asset = :asset;

-- name: asset_events_lock
-- Visits that show an asset.
SELECT id, closed FROM face_event
 WHERE asset = :asset AND org = :org
 ORDER BY id
   FOR UPDATE;

-- name: asset_lock
SELECT a.key, i.asset IS NOT NULL AS brought, coalesce(i.still_key, '') AS still_key
  FROM asset a
  LEFT JOIN intake i ON i.asset = a.id
 WHERE a.id = :asset AND a.org = :org
   FOR UPDATE OF a;

-- name: asset_enrolled
SELECT m.face FROM matchmaker m JOIN face f ON f.id = m.face
 WHERE f.asset = :asset
 ORDER BY m.face;

-- name: asset_events_without
-- Visits keep their own pictures of the face, and lose the whole frame.
UPDATE face_event e SET frame_key = '', has_template = false, updated_at = now()
  FROM (SELECT id, frame_key FROM face_event WHERE asset = :asset AND org = :org) AS old
 WHERE e.id = old.id
RETURNING e.id, old.frame_key;

-- name: asset_tombstones
WITH shown AS (
    INSERT INTO removed_face (id, org) SELECT f.id, f.org FROM face f WHERE f.asset = :asset
        ON CONFLICT DO NOTHING
)
INSERT INTO removed_asset (id, org) VALUES (:asset, :org) ON CONFLICT DO NOTHING;

-- name: asset_erase
DELETE FROM asset WHERE id = :asset;
