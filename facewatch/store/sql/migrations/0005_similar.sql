-- Similarity over all past visits (docs/decisions/0051).

-- The templates of visits once more, narrow: a search reads all of them, so a row holds what it asks
-- for and no more. Halves choose, the template itself decides. Goes with its template.
CREATE TABLE visit_template (
    face      uuid NOT NULL,
    model     smallint NOT NULL,
    org       uuid NOT NULL,
    event     uuid NOT NULL,
    embedding halfvec NOT NULL,
    PRIMARY KEY (face, model),
    FOREIGN KEY (face, model) REFERENCES template ON DELETE CASCADE
) PARTITION BY LIST (model);
ALTER TABLE visit_template ALTER embedding SET STORAGE PLAIN;

-- The model's id; its partitions are made when it is first seen.
CREATE OR REPLACE FUNCTION register_model(model_name text, model_dimensions int) RETURNS smallint
LANGUAGE plpgsql AS $$
DECLARE
    known model%ROWTYPE;
    part  text;
BEGIN
    SELECT * INTO known FROM model WHERE name = model_name;
    IF NOT FOUND THEN
        PERFORM pg_advisory_xact_lock(hashtext('facewatch.model'));
        SELECT * INTO known FROM model WHERE name = model_name;
    END IF;
    IF NOT FOUND THEN
        INSERT INTO model (name, dimensions) VALUES (model_name, model_dimensions)
        RETURNING * INTO known;
        part := 'template_' || known.id;
        EXECUTE format('CREATE TABLE %I (LIKE template, CHECK (vector_dims(embedding) = %s))',
                       part, known.dimensions);
        EXECUTE format('ALTER TABLE template ATTACH PARTITION %I FOR VALUES IN (%s)',
                       part, known.id);
        EXECUTE format('CREATE TABLE %I PARTITION OF visit_template FOR VALUES IN (%s)',
                       'visit_' || part, known.id);
    END IF;
    IF known.dimensions <> model_dimensions THEN
        RAISE EXCEPTION 'model % has % dimensions, not %',
            model_name, known.dimensions, model_dimensions;
    END IF;
    RETURN known.id;
END $$;

-- Models that were seen before: nothing reads their vector index any more.
DO $$
DECLARE
    known smallint;
BEGIN
    FOR known IN SELECT id FROM model LOOP
        EXECUTE format('DROP INDEX IF EXISTS %I', 'template_' || known || '_near');
        EXECUTE format('CREATE TABLE %I PARTITION OF visit_template FOR VALUES IN (%s)',
                       'visit_template_' || known, known);
    END LOOP;
END $$;

INSERT INTO visit_template (face, model, org, event, embedding)
SELECT t.face, t.model, t.org, f.event, t.embedding::halfvec
  FROM template t
  JOIN face f ON f.id = t.face
 WHERE f.event IS NOT NULL
 ORDER BY f.event;

-- How much a look is worth comparing, of its parts: as domain.faces.Quality.overall.
CREATE FUNCTION overall_quality(parts real[]) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT power(greatest(parts[1]::double precision * parts[2] * parts[3] * parts[4] * parts[5], 0), 0.2)
           * least(1, 2 * least(parts[1], parts[2], parts[3], parts[4]))
$$;
