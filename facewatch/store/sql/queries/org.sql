-- name: org_match_threshold
SELECT match_threshold FROM org WHERE id = :org;

-- name: org_match_threshold_set
UPDATE org SET match_threshold = :threshold WHERE id = :org RETURNING id;
