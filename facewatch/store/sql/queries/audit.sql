-- name: audit_add
-- Both or neither, and the same batch again changes nothing. Arrays of arrays would have to be of
-- one length, so the subjects come as text: {uuid,uuid}.
WITH added AS (
    INSERT INTO audit_entry
           (org, id, at, key, key_name, action, subjects, outcome, remote, agent, request)
    SELECT e.org, e.id, e.at, e.key, e.key_name, e.action, e.subjects::uuid[],
           e.outcome, e.remote, e.agent, e.request
      FROM unnest(:orgs::uuid[], :ids::uuid[], :ats::timestamptz[], :keys::uuid[],
                  :key_names::text[], :actions::text[], :subjects::text[], :outcomes::text[],
                  :remotes::text[], :agents::text[], :requests::text[])
        AS e (org, id, at, key, key_name, action, subjects, outcome, remote, agent, request)
        ON CONFLICT DO NOTHING
    RETURNING org, id, subjects
)
INSERT INTO audit_subject (org, subject, id)
SELECT a.org, s.subject, a.id FROM added a, unnest(a.subjects) AS s (subject)
    ON CONFLICT DO NOTHING;

-- name: audit_page
-- Newest first; NULL filters nothing. *since* and *before* are ids.
SELECT e.*
  FROM audit_entry e
 WHERE e.org = :org AND e.id >= :since::uuid AND e.id < :before::uuid
 ORDER BY e.id DESC
 LIMIT :limit;

-- name: audit_page_of_action
SELECT e.*
  FROM audit_entry e
 WHERE e.org = :org AND e.action = :action AND e.id >= :since::uuid AND e.id < :before::uuid
 ORDER BY e.id DESC
 LIMIT :limit;

-- name: audit_page_of_key
SELECT e.*
  FROM audit_entry e
 WHERE e.org = :org AND e.key = :key AND e.id >= :since::uuid AND e.id < :before::uuid
   AND (:action::text IS NULL OR e.action = :action)
 ORDER BY e.id DESC
 LIMIT :limit;

-- name: audit_page_of_subject
-- The subject's ids are walked in their order, and each is looked at.
SELECT e.*
  FROM audit_subject s JOIN audit_entry e ON e.org = s.org AND e.id = s.id
 WHERE s.org = :org AND s.subject = :subject AND s.id >= :since::uuid AND s.id < :before::uuid
   AND (:key::uuid IS NULL OR e.key = :key)
   AND (:action::text IS NULL OR e.action = :action)
 ORDER BY s.id DESC
 LIMIT :limit;

-- name: audit_prune
-- Oldest first by org; fewer than *most* rows say that nothing older is left.
WITH old AS (
    SELECT e.org, e.id, e.subjects
      FROM org o
     CROSS JOIN LATERAL (SELECT * FROM audit_entry e
                          WHERE e.org = o.id AND e.id < :before::uuid
                          ORDER BY e.id LIMIT :most) e
     LIMIT :most
), subjects AS (
    DELETE FROM audit_subject s USING old, unnest(old.subjects) AS of (subject)
     WHERE s.org = old.org AND s.subject = of.subject AND s.id = old.id
)
DELETE FROM audit_entry e USING old WHERE e.org = old.org AND e.id = old.id
RETURNING e.id;
