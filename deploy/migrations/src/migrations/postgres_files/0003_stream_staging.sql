-- Where the tasks of stream-etl put the rows of a batch, and from where one transaction merges them. A row belongs
-- to the table that `table_name` says, and has its columns. UNLOGGED: after a crash it is empty, which the merge
-- finds by counting, and the batch is staged again.
CREATE UNLOGGED TABLE stream_staging (
    query_id uuid NOT NULL,
    batch_id bigint NOT NULL,
    attempt uuid NOT NULL,
    table_name text NOT NULL,
    staged_at timestamptz NOT NULL DEFAULT now(),
    unique_id uuid,
    idx bigint,
    title text,
    poster_name text,
    category text,
    follower_count bigint,
    description text,
    image_src text,
    is_image_or_video text,
    tag_list text[],
    downloaded boolean,
    save_location text,
    event_time timestamptz,
    source_partition integer,
    source_offset bigint,
    reason text,
    raw text,
    window_start timestamptz,
    window_end timestamptz,
    pins bigint,
    posters bigint,
    images bigint,
    videos bigint,
    max_follower_count bigint,
    session_start timestamptz,
    session_end timestamptz
);
CREATE INDEX stream_staging_batch ON stream_staging (query_id, batch_id);
