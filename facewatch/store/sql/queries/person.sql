-- name: people_named
-- NULL is everybody who has a name.
SELECT p.id, p.org, p.name, p.created_at, p.updated_at,
       (SELECT count(*) FROM matchmaker m WHERE m.person = p.id AND m.revision_removed IS NULL)
           AS matchmakers
  FROM person p
 WHERE p.org = :org AND p.merged_into IS NULL AND p.name IS NOT NULL
   AND (:name::text IS NULL OR p.name = :name)
 ORDER BY p.name, p.id;

-- name: person_create
INSERT INTO person (id, org, name) VALUES (:id, :org, :name)
RETURNING id, org, name, created_at, updated_at, 0 AS matchmakers;

-- name: person_get
-- Or the one that they were merged into.
SELECT p.id, p.org, p.name, p.created_at, p.updated_at,
       (SELECT count(*) FROM matchmaker m WHERE m.person = p.id AND m.revision_removed IS NULL)
           AS matchmakers
  FROM person p
 WHERE p.id = (SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = :person)
   AND p.org = :org AND p.merged_into IS NULL AND p.name IS NOT NULL;

-- name: person_name_lock
-- Two who take the same name at once come one after the other.
SELECT pg_advisory_xact_lock(hashtextextended(:org::uuid::text || :name::text, 0));

-- name: person_name_owners
SELECT id FROM person WHERE org = :org AND name = :name AND merged_into IS NULL;

-- name: person_change
UPDATE person
   SET name = CASE WHEN :set_name THEN :name ELSE name END,
       email = CASE WHEN :set_email THEN :email ELSE email END,
       updated_at = now()
 WHERE id = :person
RETURNING id, org, name, created_at, updated_at,
          (SELECT count(*) FROM matchmaker m
            WHERE m.person = person.id AND m.revision_removed IS NULL) AS matchmakers;

-- name: person_named_lock
-- Them, or the one that they were merged into.
SELECT p.id FROM person p
 WHERE p.id = (SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = :person)
   AND p.org = :org AND p.merged_into IS NULL AND p.name IS NOT NULL
   FOR UPDATE OF p;

-- name: person_label_add
INSERT INTO person_label (person, org, label) VALUES (:person, :org, :label)
    ON CONFLICT DO NOTHING;

-- name: person_label_remove
DELETE FROM person_label WHERE person = :person AND label = :label;

-- name: person_labels
SELECT l.person, array_agg(l.label ORDER BY l.label) AS labels
  FROM person_label l
  JOIN person p ON p.id = l.person AND p.merged_into IS NULL AND p.name IS NOT NULL
 WHERE l.org = :org
 GROUP BY l.person
 ORDER BY l.person;

-- name: person_lock
-- Against an enrolment or an event that names somebody who is being forgotten.
SELECT p.id FROM person p
 WHERE p.id = (SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = :person)
   AND p.org = :org AND p.erased_at IS NULL AND p.merged_into IS NULL
   FOR UPDATE OF p;

-- name: person_has_photo
SELECT 1
  FROM matchmaker m
  JOIN face f ON f.id = m.face
  JOIN asset a ON a.id = f.asset
 WHERE m.org = :org AND m.person = :person AND m.revision_removed IS NULL
   AND a.sha256 = :digest;

-- name: gallery_revision_next
UPDATE gallery_revision SET revision = revision + 1 WHERE org = :org RETURNING revision;

-- name: photos_add
-- NULL for captured_at: nobody knows.
INSERT INTO asset (id, org, kind, captured_at, time_zone, width, height, size_bytes, sha256, mime,
                   file_name, key)
SELECT a.id, a.org, 'photo', coalesce(a.captured_at, now()), 'UTC', a.width, a.height,
       a.size_bytes, a.sha256, a.mime, a.file_name, a.key
  FROM unnest(:ids::uuid[], :orgs::uuid[], :captured_at::timestamptz[], :widths::int[],
              :heights::int[], :sizes::bigint[], :digests::bytea[], :mimes::text[],
              :file_names::text[], :keys::text[])
       AS a (id, org, captured_at, width, height, size_bytes, sha256, mime, file_name, key);

-- name: enrolled_faces_add
-- Landmarks and quality are spelled as arrays.
INSERT INTO face (id, org, asset, box_left, box_top, box_right, box_bottom, landmarks, quality,
                  person, assigned_by, assigned_at, thumbnail_key, crop_key)
SELECT f.id, f.org, f.asset, f.box_left, f.box_top, f.box_right, f.box_bottom,
       f.landmarks::real[], f.quality::real[], f.person, 'enrolment', now(), f.thumbnail_key,
       f.crop_key
  FROM unnest(:ids::uuid[], :orgs::uuid[], :assets::uuid[], :lefts::int[], :tops::int[],
              :rights::int[], :bottoms::int[], :landmarks::text[], :qualities::text[],
              :persons::uuid[], :thumbnail_keys::text[], :crop_keys::text[])
       AS f (id, org, asset, box_left, box_top, box_right, box_bottom, landmarks, quality,
             person, thumbnail_key, crop_key);

-- name: templates_add
INSERT INTO template (face, model, org, embedding)
SELECT t.face, :model, t.org, t.embedding::vector
  FROM unnest(:faces::uuid[], :orgs::uuid[], :embeddings::text[]) AS t (face, org, embedding);

-- name: matchmakers_add
INSERT INTO matchmaker (face, org, person, origin_face, uploaded, revision_added)
SELECT m.face, m.org, m.person, m.origin_face, m.origin_face IS NULL, m.revision
  FROM unnest(:faces::uuid[], :orgs::uuid[], :persons::uuid[], :origin_faces::uuid[],
              :revisions::bigint[])
       AS m (face, org, person, origin_face, revision);

-- name: photo_owners
-- Whose matchmakers these very photos are.
SELECT a.sha256, m.person, m.face, coalesce(p.name, '') AS name
  FROM asset a
  JOIN face f ON f.asset = a.id
  JOIN matchmaker m ON m.face = f.id AND m.revision_removed IS NULL
  JOIN person p ON p.id = m.person
 WHERE a.org = :org AND a.sha256 = ANY(:digests::bytea[])
 ORDER BY m.face;

-- name: persons_lock
-- Against being forgotten or merged while they are given matchmakers; in one order for everybody.
SELECT id FROM person
 WHERE id = ANY(:persons::uuid[]) AND erased_at IS NULL AND merged_into IS NULL
 ORDER BY id
   FOR UPDATE;

-- name: templates_of_people
SELECT m.person, vector_send(t.embedding) AS embedding
  FROM matchmaker m
  JOIN template t ON t.face = m.face
  JOIN model ON model.id = t.model AND model.name = :model
 WHERE m.org = :org AND m.person = ANY(:persons::uuid[]) AND m.revision_removed IS NULL
 ORDER BY m.face;

-- name: matchmakers_held
-- By whom these are held today; what was deleted is not there.
SELECT face, person
  FROM matchmaker
 WHERE org = :org AND face = ANY(:faces::uuid[]) AND revision_removed IS NULL;

-- name: people_of_names
-- Of several of one name the first who was made.
SELECT DISTINCT ON (p.name) p.name, p.id
  FROM person p
 WHERE p.org = :org AND p.name = ANY(:names::text[]) AND p.merged_into IS NULL
 ORDER BY p.name, p.id;

-- name: people_standing
-- Who they are now: merged people are who they were merged into.
SELECT q.id AS asked, p.id, p.name
  FROM person q
  JOIN person p ON p.id = coalesce(q.merged_into, q.id) AND p.erased_at IS NULL
 WHERE q.org = :org AND q.id = ANY(:persons::uuid[]);

-- name: sighting
SELECT e.id, e.face, e.best_at, e.quality, e.thumbnail_key, e.look_keys[1] AS crop_key,
       f.box_left, f.box_top, f.box_right, f.box_bottom, f.landmarks,
       (SELECT vector_send(t.embedding)
          FROM template t
          JOIN model ON model.id = t.model AND model.name = :model
         WHERE t.face = f.id) AS embedding
  FROM face_event e
  LEFT JOIN face f ON f.id = e.face
 WHERE e.org = :org AND e.id = :event;

-- name: sighting_lock
-- Against a copy of somebody who is being forgotten.
SELECT id FROM face_event WHERE org = :org AND id = :event AND erased_at IS NULL FOR SHARE;

-- name: matchmakers
SELECT m.face, m.person, m.org, m.created_at, m.uploaded
  FROM matchmaker m
  JOIN person p ON p.id = m.person AND p.merged_into IS NULL AND p.name IS NOT NULL
 WHERE m.org = :org AND m.revision_removed IS NULL
 ORDER BY m.face DESC;

-- name: matchmakers_of_person
SELECT m.face, m.person, m.org, m.created_at, m.uploaded
  FROM matchmaker m
  JOIN person p ON p.id = m.person AND p.merged_into IS NULL AND p.name IS NOT NULL
 WHERE m.person = (SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = :person)
   AND m.org = :org AND m.revision_removed IS NULL
 ORDER BY m.face DESC;

-- name: matchmaker_get
SELECT m.face, m.person, m.org, m.created_at, m.uploaded
  FROM matchmaker m
  JOIN person p ON p.id = m.person AND p.merged_into IS NULL AND p.name IS NOT NULL
 WHERE m.face = :face AND m.org = :org AND m.revision_removed IS NULL;

-- name: matchmaker_face_erase
-- Its template goes with it.
DELETE FROM face WHERE id = :face RETURNING asset, thumbnail_key, crop_key;

-- name: matchmaker_asset_erase
DELETE FROM asset a
 WHERE a.id = ANY(:assets::uuid[]) AND NOT EXISTS (SELECT FROM face f WHERE f.asset = a.id)
RETURNING key;

-- name: matchmaker_remove
UPDATE matchmaker SET revision_removed = :revision, removed_at = now(), origin_face = NULL
 WHERE face = :face;

-- name: gallery
SELECT m.face, m.person, vector_send(t.embedding) AS embedding
  FROM matchmaker m
  JOIN template t ON t.face = m.face
  JOIN model ON model.id = t.model AND model.name = :model
 WHERE m.org = :org AND m.revision_removed IS NULL
 ORDER BY m.face;

-- name: gallery_state
SELECT revision, lineage FROM gallery_revision WHERE org = :org;

-- name: gallery_count
-- With the revision that it is true of.
SELECT g.revision,
       (SELECT count(*)
          FROM matchmaker m
          JOIN template t ON t.face = m.face AND t.model = :model::smallint
         WHERE m.org = :org AND m.revision_removed IS NULL) AS count
  FROM gallery_revision g
 WHERE g.org = :org;

-- name: gallery_page
-- By face, from just behind :after.
SELECT m.face, m.person, vector_send(t.embedding) AS embedding
  FROM matchmaker m
  JOIN template t ON t.face = m.face AND t.model = :model::smallint
 WHERE m.org = :org AND m.revision_removed IS NULL AND m.face > :after
 ORDER BY m.face
 LIMIT :limit;

-- name: gallery_since
-- As gallery_page, what came or went since a revision; without a template it went.
SELECT m.face, m.person,
       CASE WHEN m.revision_removed IS NULL
            THEN (SELECT vector_send(t.embedding) FROM template t
                   WHERE t.face = m.face AND t.model = :model::smallint) END AS embedding
  FROM matchmaker m
 WHERE m.org = :org AND (m.revision_added > :since OR m.revision_removed > :since)
   AND m.face > :after
 ORDER BY m.face
 LIMIT :limit;

-- name: gallery_gone
SELECT face FROM matchmaker WHERE org = :org AND revision_removed > :since;

-- name: person_events_lock
SELECT id, asset, frame_key, thumbnail_key, look_keys
  FROM face_event
 WHERE org = :org AND person = :person
 ORDER BY id
   FOR UPDATE;

-- name: person_assets
-- Every picture that shows the person, and whether it is kept for somebody else's visit as well:
-- then its pixels go, while the other faces in it stay.
SELECT a.id, a.key,
       coalesce((SELECT i.still_key FROM intake i WHERE i.asset = a.id), '') AS still_key,
       EXISTS (SELECT FROM face_event e
                WHERE e.asset = a.id AND NOT e.id = ANY(:events::uuid[])) AS shared
  FROM asset a
 WHERE a.org = :org
   AND a.id IN (SELECT asset FROM face WHERE person = :person
                UNION
                SELECT f.asset FROM face f JOIN matchmaker m ON m.face = f.id
                 WHERE m.person = :person
                UNION
                SELECT asset FROM face_event WHERE id = ANY(:events::uuid[]));

-- name: person_faces_erase
-- Templates go with them. What was enrolled for the person goes, though it be nobody's now.
DELETE FROM face
 WHERE id IN (SELECT f.id FROM face f WHERE f.person = :person
              UNION
              SELECT f.id FROM face f WHERE f.event = ANY(:events::uuid[])
              UNION
              SELECT f.id FROM matchmaker m JOIN face f ON f.id = m.face AND f.person IS NULL
               WHERE m.person = :person)
RETURNING thumbnail_key, crop_key;

-- name: assets_erase
DELETE FROM asset WHERE id = ANY(:assets::uuid[]);

-- name: assets_blank
UPDATE asset SET key = '', updated_at = now() WHERE id = ANY(:assets::uuid[]);

-- name: frames_blank
-- The same frame under the key of somebody else's visit.
UPDATE face_event e SET frame_key = '', updated_at = now()
  FROM (SELECT id, frame_key FROM face_event
         WHERE asset = ANY(:assets::uuid[]) AND NOT id = ANY(:events::uuid[])) AS old
 WHERE e.id = old.id
RETURNING old.frame_key AS key;

-- name: events_erase
UPDATE face_event
   SET person = NULL, matched_face = NULL, similarity = NULL, confidence = NULL,
       assigned_by = NULL, assigned_at = NULL, has_template = false,
       frame_key = '', thumbnail_key = '', look_keys = '{}',
       retention = CASE WHEN retention = 'known' THEN 'unknown' ELSE retention END,
       erased_at = now(), updated_at = now()
 WHERE id = ANY(:events::uuid[]);

-- name: matchmakers_remove
UPDATE matchmaker SET revision_removed = :revision, removed_at = now(), origin_face = NULL
 WHERE person = :person AND revision_removed IS NULL;

-- name: person_erase
UPDATE person
   SET name = NULL, email = NULL, birth_date = NULL, thumbnail_face = NULL, favourite = false,
       erased_at = now(), updated_at = now()
 WHERE id = :person OR merged_into = :person;

-- name: person_labels_erase
DELETE FROM person_label WHERE person = :person;

-- name: people_wanted
-- Named persons that fit; NULL filters nothing, and one who was merged stands for the other.
SELECT p.id
  FROM person p
 WHERE p.org = :org AND p.merged_into IS NULL AND p.name IS NOT NULL
   AND (:people::uuid[] IS NULL OR p.id IN (
        SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = ANY(:people)))
   AND (:names::text[] IS NULL OR p.name = ANY(:names))
   AND (:part::text IS NULL OR strpos(p.name, :part) > 0)
   AND (:labels::text[] IS NULL OR p.id IN (
        SELECT l.person FROM person_label l WHERE l.org = :org AND l.label = ANY(:labels)));

-- name: person_of_id
-- A named person, or the one that they were merged into. Locked against being forgotten.
SELECT p.id, p.name, false AS made
  FROM person p
 WHERE p.org = :org AND p.name IS NOT NULL AND p.merged_into IS NULL
   AND p.id = (SELECT coalesce(q.merged_into, q.id) FROM person q WHERE q.id = :person)
   FOR KEY SHARE OF p;

-- name: person_of_name
-- Of several the first who was made. Locked against being forgotten.
SELECT p.id, p.name, false AS made
  FROM person p
 WHERE p.org = :org AND p.name = :name AND p.merged_into IS NULL
 ORDER BY p.id
 LIMIT 1
   FOR KEY SHARE;

-- name: person_made
INSERT INTO person (id, org, name) VALUES (:id, :org, :name) RETURNING id, name, true AS made;
