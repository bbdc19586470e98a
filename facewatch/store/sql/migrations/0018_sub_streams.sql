-- A second, smaller stream of the same camera, to find faces in; '' is none.
ALTER TABLE camera
    ADD COLUMN sub_url         text NOT NULL DEFAULT '',  -- without user and password
    ADD COLUMN sub_credentials bytea;                     -- encrypted, as credentials
