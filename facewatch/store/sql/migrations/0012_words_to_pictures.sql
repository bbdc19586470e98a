-- Pictures that are found by words (docs/decisions/0085, 0086).

-- What makes vectors of pictures. The digest is that of its files: others make another model.
CREATE TABLE picture_model (
    id         smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    digest     text NOT NULL,
    dimensions int NOT NULL,
    wanted     boolean NOT NULL DEFAULT false,  -- the one in force: new pictures wait for it
    UNIQUE (name, digest)
);

-- Of a picture one, of a clip one for each frame that was looked at. What filters ask for stands
-- here once more: a search walks many vectors, and looks up few assets.
CREATE TABLE picture_vector (
    asset       uuid NOT NULL REFERENCES asset ON DELETE CASCADE,
    model       smallint NOT NULL REFERENCES picture_model,
    at_ms       int NOT NULL,          -- where in a clip; 0 in a picture
    org         uuid NOT NULL,
    captured_at timestamptz NOT NULL,
    wall        timestamp NOT NULL,    -- the same by the clock of the place
    embedding   halfvec NOT NULL,      -- of unit length
    PRIMARY KEY (asset, model, at_ms)
) PARTITION BY LIST (model);
ALTER TABLE picture_vector ALTER embedding SET STORAGE PLAIN;
CREATE INDEX picture_vector_captured ON picture_vector (org, captured_at);

-- Pictures that the model has not looked at. Some may be gone: whoever takes them notices.
CREATE TABLE unseen_picture (
    asset       uuid NOT NULL,
    model       smallint NOT NULL REFERENCES picture_model ON DELETE CASCADE,
    taken_until timestamptz NOT NULL DEFAULT '-infinity',  -- somebody is at it
    PRIMARY KEY (asset, model)
);

CREATE FUNCTION assets_unseen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unseen_picture (asset, model)
    SELECT c.id, m.id FROM came c CROSS JOIN picture_model m WHERE m.wanted AND c.key <> '';
    RETURN NULL;
END $$;
CREATE TRIGGER assets_unseen AFTER INSERT ON asset REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION assets_unseen();

-- A vector is made of pixels, and goes with them.
CREATE FUNCTION asset_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM picture_vector WHERE asset = NEW.id;
    DELETE FROM unseen_picture WHERE asset = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER asset_erased AFTER UPDATE OF key ON asset
    FOR EACH ROW WHEN (NEW.key = '' AND OLD.key <> '') EXECUTE FUNCTION asset_erased();

-- From now on this model is in force, or none where there is no name; its id. Other files under
-- the same name take their vectors along. Every asset written after this commits waits for it:
-- writers that have begun are waited for.
CREATE FUNCTION want_pictures(model_name text, model_digest text, model_dimensions int)
RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
    known picture_model%ROWTYPE;
    old   smallint;
    part  text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('facewatch.picture_model'));
    SELECT * INTO known FROM picture_model WHERE name = model_name AND digest = model_digest;
    IF known.wanted OR (model_name IS NULL AND NOT EXISTS (SELECT FROM picture_model WHERE wanted))
    THEN
        RETURN known.id;
    END IF;
    LOCK TABLE asset IN SHARE ROW EXCLUSIVE MODE;
    FOR old IN SELECT id FROM picture_model WHERE name = model_name AND digest <> model_digest LOOP
        EXECUTE format('DROP TABLE %I', 'picture_vector_' || old);
        DELETE FROM picture_model WHERE id = old;
    END LOOP;
    IF model_name IS NOT NULL AND known.id IS NULL THEN
        INSERT INTO picture_model (name, digest, dimensions)
        VALUES (model_name, model_digest, model_dimensions) RETURNING * INTO known;
        part := 'picture_vector_' || known.id;
        EXECUTE format('CREATE TABLE %I (LIKE picture_vector INCLUDING STORAGE,'
                       ' CHECK (vector_dims(embedding) = %s))', part, known.dimensions);
        -- denser than usual: what one camera sees lies close together, and far from all else
        EXECUTE format('CREATE INDEX %I ON %I USING hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops)'
                       ' WITH (m = 24, ef_construction = 128)',
                       part || '_near', part, known.dimensions);
        EXECUTE format('ALTER TABLE picture_vector ATTACH PARTITION %I FOR VALUES IN (%s)',
                       part, known.id);
    END IF;
    UPDATE picture_model SET wanted = (id IS NOT DISTINCT FROM known.id) WHERE wanted OR id = known.id;
    DELETE FROM unseen_picture WHERE model IS DISTINCT FROM known.id;
    RETURN known.id;
END $$;

-- The nearest, by the index of the model, nearest first: the first *most* of one stream, which the
-- same settings and the same data always give in the same order. Its plan is made for each call.
CREATE FUNCTION pictures_near(
    of_model smallint, of_org uuid, probe halfvec, people uuid[], after timestamptz,
    before timestamptz, after_wall timestamp, before_wall timestamp, most int)
RETURNS TABLE (asset uuid, distance double precision) LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY EXECUTE (
        SELECT format(
            'SELECT v.asset, v.embedding::halfvec(%1$s) <=> $1::halfvec(%1$s)'
            '  FROM %2$I v'
            ' WHERE v.org = $2 AND v.captured_at > $3 AND v.captured_at < $4'
            '   AND v.wall > $5 AND v.wall < $6'
            '   AND ($7 IS NULL OR cardinality($7) = ('
            '        SELECT count(DISTINCT f.person) FROM face f'
            '         WHERE f.asset = v.asset AND f.person = ANY($7)))'
            ' ORDER BY v.embedding::halfvec(%1$s) <=> $1::halfvec(%1$s)'
            ' LIMIT $8', m.dimensions, 'picture_vector_' || m.id)
          FROM picture_model m WHERE m.id = of_model)
    USING probe, of_org, after, before, after_wall, before_wall, people, most;
END $$;
