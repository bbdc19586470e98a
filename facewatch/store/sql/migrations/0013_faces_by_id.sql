-- Faces and persons as a library of pictures shows them (docs/decisions/0080-0083).

-- The order of a face is that of its id, which tells when it was seen: a list goes on from an id
-- whose face is gone meanwhile. Both ways alike, so that a range of (org, id) is read in its order.
DROP INDEX face_org, face_person;
CREATE INDEX face_org ON face (org, id);
CREATE INDEX face_person ON face (person, id) WHERE person IS NOT NULL;

-- Somebody deleted these; a late version of their visit must not bring them back.
CREATE TABLE removed_face (
    id         uuid PRIMARY KEY,
    org        uuid NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now()
);

-- The middle of somebody's newest templates, and how far these lie apart (cosine distances).
CREATE TABLE centroid (
    person        uuid NOT NULL REFERENCES person ON DELETE CASCADE,
    model         smallint NOT NULL REFERENCES model,
    org           uuid NOT NULL,
    embedding     vector NOT NULL,
    pairwise_mean real NOT NULL,
    pairwise_p90  real NOT NULL,
    PRIMARY KEY (person, model)
);
CREATE INDEX centroid_org ON centroid (org, model);

-- Whose centroid is no longer true. Written by whoever changes a face or a template, in the same
-- transaction; a row each time, because a key would make writers wait for each other.
CREATE TABLE stale_centroid (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org    uuid NOT NULL,
    person uuid NOT NULL
);
CREATE INDEX stale_centroid_org ON stale_centroid (org, id);

CREATE FUNCTION faces_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stale_centroid (org, person)
    SELECT DISTINCT org, person FROM came WHERE person IS NOT NULL;
    RETURN NULL;
END $$;
CREATE FUNCTION faces_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stale_centroid (org, person)
    SELECT DISTINCT org, person FROM went WHERE person IS NOT NULL;
    RETURN NULL;
END $$;
CREATE FUNCTION faces_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stale_centroid (org, person)
    SELECT DISTINCT p.org, p.person
      FROM came
      JOIN went ON went.id = came.id AND went.person IS DISTINCT FROM came.person
     CROSS JOIN LATERAL (VALUES (came.org, came.person), (went.org, went.person)) AS p (org, person)
     WHERE p.person IS NOT NULL;
    RETURN NULL;
END $$;
CREATE FUNCTION templates_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stale_centroid (org, person)
    SELECT DISTINCT f.org, f.person FROM changed c JOIN face f ON f.id = c.face
     WHERE f.person IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER faces_came AFTER INSERT ON face REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION faces_came();
CREATE TRIGGER faces_went AFTER DELETE ON face REFERENCING OLD TABLE AS went
    FOR EACH STATEMENT EXECUTE FUNCTION faces_went();
CREATE TRIGGER faces_changed AFTER UPDATE ON face REFERENCING OLD TABLE AS went NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION faces_changed();
CREATE TRIGGER templates_came AFTER INSERT ON template REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION templates_changed();
CREATE TRIGGER templates_differ AFTER UPDATE ON template REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION templates_changed();
CREATE TRIGGER templates_went AFTER DELETE ON template REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION templates_changed();

-- It is made of somebody's templates, and goes with them at once.
CREATE FUNCTION centroid_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM centroid WHERE person = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER centroid_erased AFTER UPDATE OF erased_at ON person
    FOR EACH ROW WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION centroid_erased();

INSERT INTO stale_centroid (org, person)
SELECT DISTINCT org, person FROM face WHERE person IS NOT NULL;
