-- Which table a gallery was read from that a home keeps in a file: another database has orgs of the
-- same ids, and its own revisions (docs/decisions/0098).
ALTER TABLE gallery_revision ADD COLUMN lineage uuid NOT NULL DEFAULT gen_random_uuid();
