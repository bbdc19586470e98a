-- Where something that fires as a face stands still: [{"box": [left, top, right, bottom], "since": ...}]
ALTER TABLE camera_status ADD COLUMN suppressed jsonb NOT NULL DEFAULT '[]';
