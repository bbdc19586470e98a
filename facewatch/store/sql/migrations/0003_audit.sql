-- Who changed what and who looked at whom, and a bell for changed keys.

-- Append-only. No foreign keys: an entry outlives its key and whoever it is about.
CREATE TABLE audit_entry (
    org      uuid NOT NULL,
    id       uuid NOT NULL,  -- UUIDv7, dated *at*: tells the order
    at       timestamptz NOT NULL,
    key      uuid NOT NULL,
    key_name text NOT NULL,
    action   text NOT NULL,
    subjects uuid[] NOT NULL,
    outcome  text NOT NULL,
    remote   text NOT NULL,
    agent    text NOT NULL,
    request  text NOT NULL,
    PRIMARY KEY (org, id)
);
CREATE INDEX audit_entry_key ON audit_entry (org, key, id);
CREATE INDEX audit_entry_action ON audit_entry (org, action, id);

-- The entries of a subject, in their order: an index on the array could not give it.
CREATE TABLE audit_subject (
    org     uuid NOT NULL,
    subject uuid NOT NULL,
    id      uuid NOT NULL,
    PRIMARY KEY (org, subject, id)
);

-- Whoever keeps keys in memory hears of every change, however it was made.
CREATE FUNCTION ring_api_key() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('api_key', coalesce(NEW.id, OLD.id)::text);
    RETURN NULL;
END $$;
CREATE TRIGGER ring_api_key AFTER INSERT OR UPDATE OR DELETE ON api_key
    FOR EACH ROW EXECUTE FUNCTION ring_api_key();
