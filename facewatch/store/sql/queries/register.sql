-- name: people_gate
-- Alone: who changes whose many faces are. First in its transaction, before every other lock.
SELECT pg_advisory_xact_lock(hashtextextended('people of ' || :org::uuid, 0));

-- name: people_gate_shared
-- Together: who writes single events. First in its transaction, before every other lock.
SELECT pg_advisory_xact_lock_shared(hashtextextended('people of ' || :org::uuid, 0));

-- name: register_named
-- Newest first.
SELECT p.id
  FROM person p
 WHERE p.org = :org AND p.name IS NOT NULL AND p.merged_into IS NULL
   AND (:before::uuid IS NULL OR p.id < :before)
 ORDER BY p.id DESC
 LIMIT :limit;

-- name: register_called
-- Whose name begins so, whatever its case. The upper bound is the largest character there is.
SELECT p.id
  FROM person p
 WHERE p.org = :org AND p.name IS NOT NULL AND p.merged_into IS NULL
   AND lower(p.name) ~>=~ lower(:prefix::text)
   AND lower(p.name) ~<=~ (lower(:prefix) || U&'\+10FFFF')
   AND (:before::uuid IS NULL OR p.id < :before)
 ORDER BY p.id DESC
 LIMIT :limit;

-- name: register_unnamed
SELECT p.id
  FROM person p
 WHERE p.org = :org AND p.name IS NULL AND p.merged_into IS NULL AND p.erased_at IS NULL
   AND (:before::uuid IS NULL OR p.id < :before)
 ORDER BY p.id DESC
 LIMIT :limit;

-- name: register_profiles
-- In the order asked for. Events are counted to ten thousand, so that a page costs a bounded time.
SELECT p.id, p.org, p.name, p.email, p.created_at, p.updated_at,
       (SELECT count(*) FROM matchmaker m WHERE m.person = p.id AND m.revision_removed IS NULL)
           AS matchmakers,
       (SELECT count(*) FROM (SELECT FROM face_event e WHERE e.person = p.id LIMIT 10000) AS counted)
           AS events,
       ARRAY(SELECT l.label FROM person_label l WHERE l.person = p.id ORDER BY l.label) AS labels,
       newest.id AS last_event, newest.camera AS last_camera, newest.last_seen AS last_at
  FROM unnest(:people::uuid[]) WITH ORDINALITY AS w (id, place)
  JOIN person p ON p.id = w.id
  LEFT JOIN LATERAL (
       SELECT e.id, e.camera, e.last_seen
         FROM face_event e
        WHERE e.person = p.id
        ORDER BY e.id DESC
        LIMIT 1) AS newest ON true
 ORDER BY w.place;

-- name: register_meant
-- Who an id means today.
SELECT p.id
  FROM person q
  JOIN person p ON p.id = coalesce(q.merged_into, q.id) AND p.erased_at IS NULL
 WHERE q.id = :person AND q.org = :org;

-- name: register_lock
-- Whom each id means today, in one order. Behind the gate nobody is merged or forgotten.
SELECT q.id AS asked, p.id, p.name, p.erased_at
  FROM person q
  JOIN person p ON p.id = coalesce(q.merged_into, q.id)
 WHERE q.org = :org AND q.id = ANY(:people::uuid[])
 ORDER BY p.id
   FOR UPDATE OF p;

-- name: register_add
INSERT INTO person (id, org, name, email) VALUES (:id, :org, :name, :email);

-- name: register_change
UPDATE person
   SET name = CASE WHEN :set_name THEN :name ELSE name END,
       email = CASE WHEN :set_email THEN :email ELSE email END,
       updated_at = now()
 WHERE id = :person;

-- name: register_labels_set
-- Exactly these.
WITH gone AS (
    DELETE FROM person_label WHERE person = :person AND label <> ALL (:labels::text[])
)
INSERT INTO person_label (person, org, label)
SELECT :person, :org, label FROM unnest(:labels) AS label
    ON CONFLICT DO NOTHING;

-- name: merge_persons
-- They, and those who were merged into them before, lead to *into*; the last is always the next.
UPDATE person SET merged_into = :into, updated_at = now()
 WHERE id = ANY(:others::uuid[]) OR merged_into = ANY(:others);

-- name: merge_into
-- What the one has not, the others give, in the order of their ids.
UPDATE person p
   SET name = coalesce(:name, p.name),
       email = coalesce(p.email, given.email),
       birth_date = coalesce(p.birth_date, given.birth_date),
       thumbnail_face = coalesce(p.thumbnail_face, given.thumbnail_face),
       favourite = p.favourite OR given.favourite,
       updated_at = now()
  FROM (SELECT (array_remove(array_agg(o.email ORDER BY o.id), NULL))[1] AS email,
               (array_remove(array_agg(o.birth_date ORDER BY o.id), NULL))[1] AS birth_date,
               (array_remove(array_agg(o.thumbnail_face ORDER BY o.id), NULL))[1]
                   AS thumbnail_face,
               coalesce(bool_or(o.favourite), false) AS favourite
          FROM person o
         WHERE o.id = ANY(:others::uuid[])) AS given
 WHERE p.id = :into;

-- name: merge_labels
WITH theirs AS (
    DELETE FROM person_label WHERE person = ANY(:others::uuid[]) RETURNING label
)
INSERT INTO person_label (person, org, label)
SELECT DISTINCT :into::uuid, :org::uuid, label FROM theirs
    ON CONFLICT DO NOTHING;

-- name: merge_events
-- Whoever said that it was one of the others said that it is this one.
UPDATE face_event SET person = :into, updated_at = now()
 WHERE org = :org AND person = ANY(:others::uuid[]);

-- name: merge_some_events
-- With their faces; how many visits went over.
WITH some_of_them AS (
    SELECT id FROM face_event
     WHERE org = :org AND person = ANY(:others::uuid[])
     LIMIT :limit
), moved AS (
    UPDATE face_event e SET person = :into, updated_at = now()
      FROM some_of_them s
     WHERE e.id = s.id
    RETURNING e.id
), shown AS (
    UPDATE face f SET person = :into, updated_at = now()
      FROM moved
     WHERE f.event = moved.id AND f.person = ANY(:others)
)
SELECT count(*) AS count FROM moved;

-- name: merge_faces
UPDATE face SET person = :into, updated_at = now() WHERE person = ANY(:others::uuid[]);

-- name: matchmakers_live_of
SELECT face FROM matchmaker
 WHERE person = ANY(:people::uuid[]) AND revision_removed IS NULL
 ORDER BY face;

-- name: split_faces_lock
SELECT face, person FROM matchmaker
 WHERE org = :org AND face = ANY(:faces::uuid[]) AND revision_removed IS NULL
 ORDER BY face
   FOR UPDATE;

-- name: split_events_lock
SELECT id, person FROM face_event
 WHERE org = :org AND id = ANY(:events::uuid[])
 ORDER BY id
   FOR UPDATE;

-- name: split_events_matched
-- What the machine gave to the person because of these faces.
SELECT id FROM face_event
 WHERE org = :org AND person = :person AND matched_face = ANY(:faces::uuid[])
   AND assigned_by = 'matcher'
 ORDER BY id
   FOR UPDATE;

-- name: matchmakers_move
-- For a worker that catches up they are new.
UPDATE matchmaker SET person = :person, revision_added = :revision
 WHERE face = ANY(:faces::uuid[]);

-- name: matchmakers_embedded
-- For a worker that catches up they are new.
UPDATE matchmaker SET revision_added = :revision
 WHERE org = :org AND face = ANY(:faces::uuid[]) AND revision_removed IS NULL;

-- name: enrolled_faces_move
UPDATE face SET person = :person, updated_at = now() WHERE id = ANY(:faces::uuid[]);

-- name: thumbnail_face_free
-- A face that went shows this person no more.
UPDATE person SET thumbnail_face = NULL
 WHERE id = :person
   AND thumbnail_face IN (SELECT f.id FROM face f
                           WHERE f.id = ANY(:faces::uuid[]) OR f.event = ANY(:events::uuid[]));

-- name: near_misses
-- Visits of nobody, or of somebody without a name, that resemble somebody who has one, newest first. Whose the face is today
-- counts, not whose it was when it was compared.
SELECT e.id, e.first_seen, e.camera, e.thumbnail_key, m.face, m.person, p.name,
       (e.decision #>> '{candidates,0,similarity}')::float8 AS similarity,
       (e.decision ->> 'confidence')::float8 AS confidence,
       e.decision ->> 'reason' AS reason
  FROM face_event e
  JOIN matchmaker m ON m.face = (e.decision #>> '{candidates,0,face}')::uuid
                   AND m.revision_removed IS NULL
  JOIN person p ON p.id = m.person AND p.name IS NOT NULL
 WHERE e.org = :org AND e.id >= :since AND e.id < :before
   AND (e.assigned_by IS NULL OR e.assigned_by = 'cluster') AND e.erased_at IS NULL
   AND NOT EXISTS (SELECT FROM person w WHERE w.id = e.person AND w.name IS NOT NULL)
   AND (e.decision ->> 'confidence')::float8 >= 0.4
   AND (e.decision ->> 'confidence')::float8 >= :least
   AND NOT EXISTS (
       SELECT FROM dismissed d
         JOIN person q ON q.id = d.other
        WHERE d.org = e.org AND d.kind = 'name' AND d.one = e.id
          AND coalesce(q.merged_into, q.id) = p.id)
 ORDER BY e.id DESC
 LIMIT :limit;

-- name: dismissed_pairs
-- Of whom they mean today.
SELECT coalesce(p.merged_into, p.id) AS one, coalesce(q.merged_into, q.id) AS other
  FROM dismissed d
  JOIN person p ON p.id = d.one
  JOIN person q ON q.id = d.other
 WHERE d.org = :org AND d.kind = 'same_person';

-- name: dismiss
INSERT INTO dismissed (org, kind, one, other) VALUES (:org, :kind, :one, :other)
    ON CONFLICT DO NOTHING
RETURNING one;

-- name: dismissals_erase
-- Whichever of their ids it was said of.
WITH theirs AS (SELECT id FROM person WHERE id = :person OR merged_into = :person)
DELETE FROM dismissed
 WHERE other IN (SELECT id FROM theirs) OR kind = 'same_person' AND one IN (SELECT id FROM theirs);

-- name: names_of
SELECT id, name FROM person WHERE org = :org AND id = ANY(:people::uuid[]);
