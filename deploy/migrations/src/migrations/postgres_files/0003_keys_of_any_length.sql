-- A text of a pin may be 16 KiB long, a key of a B-tree 2.7: one such category would hold up the whole stream.

ALTER TABLE pin_windows DROP CONSTRAINT pin_windows_key;
CREATE UNIQUE INDEX pin_windows_key ON pin_windows (window_start, md5(category)) NULLS NOT DISTINCT;

ALTER TABLE poster_sessions DROP CONSTRAINT poster_sessions_pkey;
CREATE UNIQUE INDEX poster_sessions_key ON poster_sessions (md5(poster_name), session_start);
CREATE INDEX poster_sessions_poster_name ON poster_sessions USING hash (poster_name);
