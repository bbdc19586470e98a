-- name: uploads_add
INSERT INTO face_upload (face, org, transaction, file_name, person_name, person, create_person,
                         key, mime, size_bytes, pixels, created_at)
SELECT u.*
  FROM unnest(:faces::uuid[], :orgs::uuid[], :transactions::text[], :file_names::text[],
              :person_names::text[], :persons::uuid[], :create_persons::boolean[], :keys::text[],
              :mimes::text[], :sizes::int[], :pixels::int[], :created_at::timestamptz[]) AS u;

-- name: uploads_waiting
SELECT count(*) AS files, coalesce(sum(size_bytes), 0) AS bytes
  FROM face_upload
 WHERE org = :org AND state = 'waiting';

-- name: uploads_count
SELECT count(*) AS files FROM face_upload WHERE org = :org AND transaction = :transaction;

-- name: uploads_of_transaction
-- Each with who its person is today, if they have a name.
SELECT u.face, u.org, u.transaction, u.file_name, u.person_name, u.create_person, u.key, u.mime,
       u.size_bytes, u.pixels, u.created_at, u.state, u.why, u.warning, u.tries,
       (SELECT p.id
          FROM person q
          JOIN person p ON p.id = coalesce(q.merged_into, q.id) AND p.name IS NOT NULL
         WHERE q.id = u.person) AS person
  FROM face_upload u
 WHERE u.org = :org AND u.transaction = :transaction
 ORDER BY u.place;

-- name: uploads_take
-- The oldest first. What was in hand when its worker died is a suspect: it is tried alone, and
-- nobody else tries another one meanwhile.
WITH due AS MATERIALIZED (
    SELECT face, place, tries FROM face_upload
     WHERE state = 'waiting' AND (taken_until IS NULL OR taken_until < now())
       AND (tries = 0 OR NOT EXISTS (
            SELECT FROM face_upload s
             WHERE s.state = 'waiting' AND s.taken_until >= now() AND s.tries > 1))
     ORDER BY place
     LIMIT :limit
       FOR UPDATE SKIP LOCKED
), first AS (
    SELECT face, tries FROM due ORDER BY place LIMIT 1
)
UPDATE face_upload u
   SET tries = u.tries + 1, taken_by = :worker, taken_until = now() + :lease::interval
  FROM due, first
 WHERE u.face = due.face
   AND (due.face = first.face OR (first.tries = 0 AND due.tries = 0))
RETURNING u.*;

-- name: uploads_let_go
-- Nothing was wrong with them: as if they had not been taken. NULL is all that the worker has.
UPDATE face_upload
   SET taken_by = NULL, taken_until = NULL,
       tries = CASE WHEN :faces::uuid[] IS NULL THEN tries ELSE tries - 1 END
 WHERE taken_by = :worker AND state = 'waiting'
   AND (:faces::uuid[] IS NULL OR face = ANY(:faces));

-- name: uploads_lock
SELECT face, state FROM face_upload WHERE face = ANY(:faces::uuid[]) ORDER BY face FOR UPDATE;

-- name: uploads_settle
UPDATE face_upload u
   SET state = s.state, person = s.person, why = s.why, warning = s.warning,
       key = CASE WHEN s.state = 'enrolled' THEN u.key ELSE '' END,
       taken_by = NULL, taken_until = NULL, settled_at = now()
  FROM unnest(:faces::uuid[], :states::text[], :persons::uuid[], :whys::text[], :warnings::text[])
       AS s (face, state, person, why, warning)
 WHERE u.face = s.face;

-- name: uploads_forget
-- Of somebody who is being forgotten; those that wait know them perhaps by their name only. The
-- photo of one that was enrolled is its matchmaker's, and goes with that.
DELETE FROM face_upload u
 WHERE u.org = :org
   AND (u.person IN (SELECT p.id FROM person p WHERE p.id = :person OR p.merged_into = :person)
        OR u.person IS NULL AND u.person_name IN (
           SELECT p.name FROM person p WHERE p.id = :person OR p.merged_into = :person))
RETURNING CASE WHEN u.state = 'waiting' THEN u.key ELSE '' END AS key;

-- name: uploads_move
UPDATE face_upload SET person = :person WHERE face = ANY(:faces::uuid[]);

-- name: uploads_of_removed
UPDATE face_upload SET key = '' WHERE face = :face;

-- name: uploads_expire
DELETE FROM face_upload WHERE settled_at < now() - :age::interval;
