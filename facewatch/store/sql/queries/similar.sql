-- name: model_id
SELECT id FROM model WHERE name = :name;

-- name: template_of_event
-- Of the best shot; NULL where the visit has none of this model (any more).
SELECT (SELECT vector_send(t.embedding)
          FROM template t
          JOIN model ON model.id = t.model AND model.name = :model
         WHERE t.face = e.face) AS embedding
  FROM face_event e
 WHERE e.org = :org AND e.id = :event;

-- name: template_of_matchmaker
SELECT (SELECT vector_send(t.embedding)
          FROM template t
          JOIN model ON model.id = t.model AND model.name = :model
         WHERE t.face = m.face) AS embedding
  FROM matchmaker m
  JOIN person p ON p.id = m.person AND p.merged_into IS NULL AND p.name IS NOT NULL
 WHERE m.org = :org AND m.face = :face AND m.revision_removed IS NULL;

-- name: visits_near_at_once
-- For this transaction: split the scan, whatever Postgres thinks that it finds (it cannot know).
SELECT set_config('parallel_tuple_cost', '0', true), set_config('parallel_setup_cost', '0', true);

-- name: visits_near
-- The newest visits whose halves come close enough; every one is looked at. The probe is a subquery,
-- so that it is read once, not for each row. Unit vectors: the product is the cosine.
SELECT v.event
  FROM visit_template v
 WHERE v.model = :model AND v.org = :org AND v.event >= :since AND v.event < :before
   AND v.embedding <#> (SELECT :probe::text::halfvec) <= :farthest
 ORDER BY v.event DESC
 LIMIT :limit;

-- name: visits_alike
-- Of these visits those that are alike by their templates, and that the filter lets through.
SELECT e.id, -(t.embedding <#> (SELECT :probe::text::vector)) AS similarity
  FROM unnest(:among::uuid[]) AS w (id)
 CROSS JOIN LATERAL (
       SELECT e.id, e.face FROM face_event e
        WHERE e.id = w.id AND e.org = :org AND e.id >= :since AND e.id < :before
          AND e.id >= :months_from AND e.id < :months_to
          AND e.id IS DISTINCT FROM :but::uuid
          AND (:cameras::uuid[] IS NULL OR e.camera = ANY(:cameras))
          AND (:locations::uuid[] IS NULL OR e.location = ANY(:locations) OR e.place && :locations)
          AND (:people::uuid[] IS NULL OR e.person = ANY(:people))
          AND (:has_template::boolean IS NULL OR e.has_template = :has_template)
          AND (:has_name::boolean IS NULL OR :has_name = EXISTS (
               SELECT FROM person p WHERE p.id = e.person AND p.name IS NOT NULL))
          AND (:least_quality::double precision IS NULL
               OR overall_quality(e.quality) >= :least_quality)
       OFFSET 0) AS e
 CROSS JOIN LATERAL (
       SELECT t.embedding FROM template t WHERE t.face = e.face AND t.model = :model OFFSET 0) AS t
 WHERE -(t.embedding <#> (SELECT :probe::text::vector)) >= :least
 ORDER BY e.id DESC
 LIMIT :limit;
